"""What the tests of our nodes share: a random model in the host's folder, and reading back what it saved."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from comfyui_pocketvideo.pocketvideo.models import PocketModel, build_model, save_model
from PIL import Image
from safetensors.torch import load_file

from .client import ComfyClient, RunResult, SavedFile
from .graphs import MODEL, only_latent
from .server import ComfyServer


def install_random_model(host: ComfyServer, name: str = MODEL) -> Path:
    """Put a model with seeded random weights where the host finds it, once."""
    path = host.models / "pocketvideo" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(path, random_model())
    return path


def random_model() -> PocketModel:
    """The smallest preset with seed 0."""
    return build_model("pocket_shapes", 0)


def latent_of(host: ComfyServer, client: ComfyClient, graph: dict[str, Any], prefix: str) -> torch.Tensor:
    """Run a graph up to its sampler and return the latent, bit for bit."""
    run = client.run(only_latent(graph, f"latents/{prefix}")).require_success()
    return read_latent(host, run)


def read_latent(host: ComfyServer, run: RunResult) -> torch.Tensor:
    """The tensor that Save Latent wrote."""
    (saved,) = [file for output in run.outputs.values() for file in output.get("latents", [])]
    path = host.output / saved["subfolder"] / saved["filename"]
    return load_file(path)["latent_tensor"]


def read_video(data: bytes) -> np.ndarray[Any, Any]:
    """Frames uint8 `[T, H, W, 3]` of an MP4."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def read_frames(client: ComfyClient, files: list[SavedFile]) -> np.ndarray[Any, Any]:
    """Frames uint8 `[T, H, W, 3]` of the pictures that Save Image reported."""
    return np.stack([np.asarray(Image.open(io.BytesIO(client.view(file))).convert("RGB")) for file in files])


def psnr(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Of two clips in 0..255, in dB."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def message(run: RunResult) -> str:
    """The sentence of a failed run."""
    assert run.status == "error", run.status
    return str((run.error or {})["exception_message"]).strip()
