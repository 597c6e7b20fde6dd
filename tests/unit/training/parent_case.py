"""A tiny parent of random weights, as its training leaves it: model file, run folder with the VAE, recipe.

`python parent_case.py FOLDER NAME MEETING` encodes its clips, as one of `PROCESSES`: none gives a shard its
name before all have written theirs and said so in the folder MEETING.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from comfyui_pocketvideo.pocketvideo.models import build_model, save_model
from comfyui_pocketvideo.pocketvideo.training.fewstep.run import RECIPES, overlaid, read_recipe
from comfyui_pocketvideo.pocketvideo.training.latents import cache_latents
from safetensors.torch import save_file

CLIP = {"frames": 9, "height": 64, "width": 64}
CLIPS = 8
PROCESSES = 2


def parent_recipe() -> dict[str, Any]:
    """The recipe of the model that ships, with eight small clips."""
    shipped = read_recipe("pocket_shapes", RECIPES.parents[1] / "recipes")
    return overlaid(shipped, {"clip": CLIP, "latents": {"clips": CLIPS}})


def write_parent(folder: Path) -> None:
    """`model.safetensors`, `recipe.json` and `run/vae.safetensors` in a new folder."""
    model = build_model("pocket_shapes", 5)
    model.config["defaults"] |= CLIP
    (folder / "run").mkdir(parents=True)
    save_model(folder / "model.safetensors", model, torch.float32)
    (folder / "recipe.json").write_text(json.dumps(parent_recipe()))
    config = {"config": json.dumps(model.vae.config)}
    save_file(model.vae.state_dict(), folder / "run" / "vae.safetensors", metadata=config)


def main(folder: Path, name: str, meeting: Path) -> None:
    replace = os.replace

    def met(source: Any, target: Any) -> None:
        (meeting / name).touch()
        while len(list(meeting.iterdir())) < PROCESSES:
            time.sleep(0.01)
        replace(source, target)

    os.replace = met  # type: ignore[assignment]
    found = cache_latents(folder / "run", parent_recipe())
    assert len(found.latents) == CLIPS


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
