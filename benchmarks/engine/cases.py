"""What is measured: an architecture with random weights, as a bundle, as inputs of a clip, and in torch."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import MANIFEST_NAME, Bundle
from comfyui_pocketvideo.pocketvideo.export.cache import code_fingerprint
from comfyui_pocketvideo.pocketvideo.export.parity import inputs_for
from comfyui_pocketvideo.pocketvideo.export.random_bundle import export_random
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS, RandomWeights
from comfyui_pocketvideo.pocketvideo.models.config import PRESETS
from comfyui_pocketvideo.pocketvideo.models.denoiser import Denoiser

from engine.sources import drop_from_cache

Clip = tuple[int, int, int]


def bundle_of(preset: str, clip: Clip, cache: Path) -> Bundle:
    """The preset's bundle: exported once, and anew when the exporter's sources have changed."""
    folder = cache / f"{preset}-{'x'.join(map(str, clip))}-{code_fingerprint()[:12]}"
    if not (folder / MANIFEST_NAME).is_file():
        for old in cache.glob(f"{preset}-*"):
            shutil.rmtree(old)
        export_random(preset, folder, cache_dir=cache / "exports", clip=clip, progress=_show)
    return Bundle.open(folder)


def inputs_of(preset: str, clip: Clip) -> dict[str, np.ndarray]:
    """Seeded inputs of the denoiser for one evaluation of a clip of these frames, height and width."""
    made = RANDOM_PRESETS[preset]
    frames, height, width = made.grid(*clip)
    size = {"batch": 1, "frames": frames, "height": height, "width": width, "length": made.length}
    return {name: value.numpy() for name, value in inputs_for(made.component(0), size, 0).items()}


def torch_network(preset: str) -> Callable[..., torch.Tensor]:
    """The same network with the same numbers, wholly in memory; takes the component's inputs by name."""
    with torch.device("meta"):
        network = Denoiser(PRESETS[preset]).eval().requires_grad_(False)
    network = RandomWeights(network, 0).real(network)

    def call(
        *,
        latent: torch.Tensor,
        timestep: torch.Tensor,
        motion: torch.Tensor,
        context: torch.Tensor | None = None,
        context_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        made: torch.Tensor = network(latent, timestep, context, context_mask, motion)
        return made

    return call


def copy_of(bundle: Bundle, folder: Path) -> Path:
    """The bundle's files once more, on the disk: what another process maps cannot leave the page cache."""
    for name in [MANIFEST_NAME, *bundle.files]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == MANIFEST_NAME:
            target.write_bytes(bundle.data)
            continue
        shutil.copyfile(bundle.path(name), target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
        drop_from_cache(target)
    return folder


def _show(done: int, total: int, words: str) -> None:
    end = "\n" if done >= total else ""
    print(f"\r[{done}/{total}] {words:<60.60}", end=end, file=sys.stderr, flush=True)


def spec_of(bundle: Path | str, component: str, inputs: Path, threads: int, **more: Any) -> dict[str, Any]:
    """What a worker of the engine is told."""
    return {
        "way": "engine",
        "source": "engine",
        "bundle": str(bundle),
        "component": component,
        "inputs": str(inputs),
        "threads": threads,
        "budget": None,
        "prefetch": None,
        **more,
    }
