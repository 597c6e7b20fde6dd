"""Stage 1: the teacher's own ways from noise to clip, on training captions, computed once and kept.

A trajectory is every state of the guided teacher's Euler steps. Students learn from them by regression, and
their last states stand for real clips where a loss wants some ("Z-Image Turbo++", 2606.12575). Written in
shards, so that a killed run goes on where it stopped.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ...models.sampling import shifted_sigmas
from ..latents import LatentSet
from ..loop import generator_for
from .parent import Conditions, guided
from .teacher import Teacher

SHARD = 32
STREAM = 41


@dataclass
class Trajectories:
    """`states [N, T + 1, C, F, h, w]` float16 along `sigmas [T + 1]`; `free [N, F]` as in Conditions."""

    states: Tensor
    sigmas: Tensor
    free: Tensor


@torch.no_grad()
def cache_trajectories(run: Path, recipe: dict[str, Any], teacher: Teacher, data: LatentSet) -> Trajectories:
    """Run the guided teacher on the first `recipe["trajectories"]["clips"]` captions of the training set."""
    settings = recipe["trajectories"]
    count = settings["clips"]
    if count > len(data.captions):
        raise ValueError(
            f"{count} trajectories are asked for and the training set has {len(data.captions)} clips: "
            "lower trajectories.clips in the recipe."
        )
    sigmas = shifted_sigmas(settings["steps"], settings["shift"])
    directory = run / "trajectories"
    directory.mkdir(parents=True, exist_ok=True)
    device = next(teacher.network.parameters()).device
    velocity = guided(teacher.velocity_of(teacher.network), settings["guidance"], teacher.encode([""]))
    for first in tqdm(_in_turns(count), desc="the teacher's trajectories", unit=f"x{SHARD}"):
        path = directory / f"{first:06d}.safetensors"
        if path.exists():
            continue
        index = torch.arange(first, min(first + SHARD, count))
        generator = generator_for(recipe["seed"], first, STREAM)
        latents = data.latents[index]
        free = torch.ones(latents.shape[0], latents.shape[2])
        free[torch.rand(len(index), generator=generator) < settings["given_first_frame"], 0] = 0
        context, mask = teacher.encode([data.captions[i] for i in index])
        conditions = Conditions(context, mask, data.motion[index].float(), free, latents[:, :, :1])
        conditions = conditions.to(device)
        x = conditions.hold(torch.randn(latents.shape, generator=generator).to(device))
        states = [x]
        for now, following in itertools.pairwise(sigmas):
            times = conditions.times(now.to(device).expand(len(index)))
            with torch.autocast(device.type, torch.bfloat16, enabled=settings["bf16"]):
                speed = velocity(x, times, conditions).float()
            x = conditions.hold(x + (following - now) * speed)
            states.append(x)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        save_file({"states": torch.stack(states, 1).half().cpu(), "free": free}, temporary)
        os.replace(temporary, path)
    shards = [load_file(directory / f"{first:06d}.safetensors") for first in range(0, count, SHARD)]
    return Trajectories(
        torch.cat([shard["states"] for shard in shards]),
        sigmas,
        torch.cat([shard["free"] for shard in shards]),
    )


def _in_turns(count: int) -> list[int]:
    """First clips of all shards. Of several processes (`accelerate launch`) each begins with its own part."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    shards = list(range(0, count, SHARD))
    return [first for turn in range(world) for first in shards[(rank + turn) % world :: world]]
