"""Stage 2: encode the training clips once, so that the denoiser never waits for the VAE.

Written in shards, so that a killed run goes on where it stopped; processes of `accelerate launch` may write
side by side.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from .data.shapes import render, training_spec
from .vae import load_vae

SHARD = 512


@dataclass
class LatentSet:
    """Encoded clips: `latents [N, C, F, h, w]` float32, one caption and one motion score each."""

    latents: Tensor
    captions: list[str]
    motion: Tensor


@torch.no_grad()
def cache_latents(run: Path, recipe: dict[str, Any]) -> LatentSet:
    """Encode `recipe["latents"]["clips"]` clips of the training set with the trained VAE."""
    clip, count = recipe["clip"], recipe["latents"]["clips"]
    directory = run / "latents"
    directory.mkdir(parents=True, exist_ok=True)
    vae = load_vae(run / "vae.safetensors")
    for first in tqdm(range(0, count, SHARD), desc="encoding clips", unit=f"x{SHARD}"):
        path = directory / f"{first:06d}.safetensors"
        if path.exists():
            continue
        parts = []
        for start in range(first, min(first + SHARD, count), 32):
            specs = [training_spec(recipe["seed"], i) for i in range(start, min(start + 32, count))]
            parts.append(vae.encode(render(specs, clip["frames"], clip["height"], clip["width"])))
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        save_file({"latents": torch.cat(parts).half()}, temporary)
        os.replace(temporary, path)
    shards = [
        load_file(directory / f"{first:06d}.safetensors")["latents"] for first in range(0, count, SHARD)
    ]
    specs = [training_spec(recipe["seed"], i) for i in range(count)]
    return LatentSet(
        latents=torch.cat(shards)[:count].float(),
        captions=[spec.caption for spec in specs],
        motion=torch.tensor([spec.motion_score for spec in specs]),
    )
