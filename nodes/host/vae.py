"""The video autoencoder as ComfyUI's VAE."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import torch
from torch import Tensor

from ...pocketvideo.models import PocketVAE

# Floats alive per pixel of video at the widest moment, as ComfyUI reckons for LTX-Video's VAE.
DECODE_FLOATS_PER_PIXEL = 75
ENCODE_FLOATS_PER_PIXEL = 80


class HostVideoVAE(PocketVAE):
    """PocketVAE that leaves out the last frames of a clip whose length does not fit, as core VAEs do."""

    def encode(self, video: Tensor) -> Tensor:
        """Pixels `[B, 3, T, H, W]` in [-1, 1] to latents `[B, C, F, h, w]`."""
        keep = (video.shape[2] - 1) // self.temporal_compression * self.temporal_compression + 1
        return super().encode(video[:, :, :keep])


class PocketHostVAE(comfy.sd.VAE):
    """`comfy.sd.VAE` around our autoencoder, so that encode, decode and tiling are the host's own.

    The host recognises architectures by their weights and does not know this one. Given no weights it
    only sets its defaults, which leaves no attribute of a newer host unset; the rest is filled in here.
    """

    def __init__(self, network: HostVideoVAE):
        with _without_message("No VAE weights detected"):
            super().__init__(sd={})
        spatial, temporal = network.spatial_compression, network.temporal_compression
        self.first_stage_model = network.eval()
        self.latent_channels = network.latent_channels
        self.latent_dim = 3
        self.upscale_ratio = (lambda frames: max(0, frames * temporal - temporal + 1), spatial, spatial)
        self.upscale_index_formula = (temporal, spatial, spatial)
        self.downscale_ratio = (
            lambda frames: max(0, math.floor((frames + temporal - 1) / temporal)),
            spatial,
            spatial,
        )
        self.downscale_index_formula = (temporal, spatial, spatial)
        per_cell = DECODE_FLOATS_PER_PIXEL * temporal * spatial * spatial
        size = comfy.model_management.dtype_size
        self.memory_used_decode = lambda shape, dtype: per_cell * math.prod(shape[2:]) * size(dtype)
        self.memory_used_encode = lambda shape, dtype: (
            ENCODE_FLOATS_PER_PIXEL * math.prod(shape[2:]) * size(dtype)
        )
        # float32, so that a desk's video and a device's agree; --fp16-vae and --bf16-vae override it.
        self.working_dtypes = [torch.float32]
        self.device = comfy.model_management.vae_device()
        self.vae_dtype = comfy.model_management.vae_dtype(self.device, self.working_dtypes)
        self.first_stage_model.to(self.vae_dtype)
        comfy.model_management.archive_model_dtypes(self.first_stage_model)
        self.output_device = comfy.model_management.intermediate_device()
        # diffusers' layers do not cast weights one by one, so they move as a whole.
        self.disable_offload = True
        self.patcher = comfy.model_patcher.ModelPatcher(
            self.first_stage_model,
            load_device=self.device,
            offload_device=comfy.model_management.vae_offload_device(),
        )
        self.model_size()


def make_vae(config: dict[str, Any], state: dict[str, Tensor]) -> PocketHostVAE:
    """A VAE from the autoencoder's config and weights. Raises RuntimeError where they do not fit."""
    network = HostVideoVAE(config)
    network.load_state_dict(state, strict=True)
    network.requires_grad_(False)
    return PocketHostVAE(network)


@contextmanager
def _without_message(text: str) -> Iterator[None]:
    """Drop the host's warning with this text: here it is expected."""

    def keep(record: logging.LogRecord) -> bool:
        return text not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        yield
    finally:
        root.removeFilter(keep)
