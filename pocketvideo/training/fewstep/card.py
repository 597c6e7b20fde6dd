"""A student's card and file: where it comes from, how it is sampled, what its training cost.

The file holds the student's denoiser alone; text encoder and VAE are the parent's, which the file names. The
card is `few_step` in the metadata, read by `Few-Step Schedule`, by the compiler and by the benchmark.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...models.checkpoint import METADATA_KEY

if TYPE_CHECKING:
    from .trainer import FewStepTrainer


def training_cost(recipe: dict[str, Any], trainer: FewStepTrainer) -> dict[str, Any]:
    """What a training took so far, for a card: steps, seconds, machine, and the recipe it followed."""
    return {
        "steps": trainer.step,
        "seconds": round(trainer.seconds),
        "processes": trainer.processes,
        "threads": trainer.threads,
        "device": f"{trainer.accelerator.device} ({platform.machine()})",
        "torch": torch.__version__,
        "recipe": recipe,
    }


def make_card(recipe: dict[str, Any], training: dict[str, Any], parent: Path) -> dict[str, Any]:
    """What a student says of itself.

    `sigmas` maps a number of steps to its schedule; `sampling` is `renoise` or `ode`.
    """
    sampling = recipe["sampling"]
    return {
        "parent": parent.name,
        "recipe": recipe["name"],
        "kind": recipe["student"].get("kind", "full"),
        "steps": max(int(steps) for steps in sampling["sigmas"]),
        "sigmas": sampling["sigmas"],
        "sampling": sampling["kind"],
        "guidance": 1.0,
        "absorbed_guidance": recipe["trajectories"]["guidance"],
        "training": training,
    }


def save_student(
    path: Path, denoiser: dict[str, Tensor], parent_config: dict[str, Any], parent: Path, card: dict[str, Any]
) -> None:
    """Write the student's denoiser in float16, with its card and the parent's name and digest."""
    config = {
        **parent_config,
        "name": path.stem,
        "parent": {"file": parent.name, "sha256": hashlib.sha256(parent.read_bytes()).hexdigest()},
        "defaults": {
            **parent_config.get("defaults", {}),
            "steps": card["steps"],
            "guidance": card["guidance"],
        },
        "few_step": card,
    }
    state = {f"denoiser.{name}": value.to(torch.float16).contiguous() for name, value in denoiser.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(state, temporary, metadata={METADATA_KEY: json.dumps(config, sort_keys=True), "format": "pt"})
    temporary.replace(path)
