"""A ComfyUI VAE's compression."""

from __future__ import annotations

from typing import Any

from .sizes import Grid


def grid_of(vae: Any) -> Grid:
    """Read the sizes off any video VAE of ComfyUI. Raises ValueError for one that makes single images."""
    temporal = vae.temporal_compression_decode()
    if vae.latent_dim != 3 or temporal is None:
        raise ValueError(
            "The linked VAE makes images, not video: link the VAE of Load Pocket Video Model instead."
        )
    return Grid(int(vae.spacial_compression_encode()), int(temporal), int(vae.latent_channels))
