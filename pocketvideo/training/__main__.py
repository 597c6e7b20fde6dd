"""`python -m comfyui_pocketvideo.pocketvideo.training`: train a model from nothing, stage by stage.

Every stage goes on where it was stopped, even by a kill; finished ones are skipped.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
STAGES = ("vae", "latents", "denoiser", "decoder", "pack")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="comfyui_pocketvideo.pocketvideo.training", description=__doc__)
    parser.add_argument("--recipe", default="pocket_shapes", help="a name in recipes/ or a JSON file")
    parser.add_argument("--run", type=Path, help="folder for checkpoints (default: runs/NAME)")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument(
        "--output", type=Path, help="the model file (default: models/pocketvideo/NAME.safetensors)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = read_recipe(arguments.recipe)
    run = arguments.run or Path("runs") / recipe["name"]
    output = arguments.output or Path("models") / "pocketvideo" / f"{recipe['name']}.safetensors"
    stages = STAGES if arguments.stage == "all" else (arguments.stage,)
    try:
        for stage in stages:
            run_stage(stage, run, recipe, output)
    except KeyboardInterrupt:
        return 130
    return 0


def run_stage(stage: str, run: Path, recipe: dict, output: Path) -> None:
    """Run one stage; the ones before it must have run."""
    from .flow import train_denoiser
    from .latents import cache_latents
    from .pack import pack_model
    from .vae import polish_decoder, train_vae

    if stage == "vae":
        train_vae(run, recipe)
    elif stage == "latents":
        cache_latents(run, recipe)
    elif stage == "denoiser":
        train_denoiser(run, recipe, cache_latents(run, recipe))
    elif stage == "decoder":
        polish_decoder(run, recipe)
    else:
        pack_model(run, recipe, output)
        logging.getLogger(__name__).info("Wrote %s (%d bytes).", output, output.stat().st_size)


def read_recipe(name: str) -> dict:
    """A recipe by name or by path. Raises SystemExit with the known names."""
    path = Path(name) if name.endswith(".json") else RECIPES / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.json")))
        raise SystemExit(f"There is no recipe '{name}': choose {known}, or name a JSON file.")
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
