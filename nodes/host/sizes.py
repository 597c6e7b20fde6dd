"""Sizes that fit a VAE, and plain words for those that do not. Knows nothing of ComfyUI."""

from __future__ import annotations

from typing import NamedTuple

MAX_SIDE = 2048
MAX_FRAMES = 257


class Grid(NamedTuple):
    """A VAE's compression: pixels per latent cell, frames per latent frame, channels."""

    spatial: int
    temporal: int
    channels: int


# The model that comes with the pack.
DEFAULT_GRID = Grid(spatial=32, temporal=4, channels=24)


def latent_shape(width: int, height: int, length: int, batch: int, grid: Grid) -> list[int]:
    """`[B, C, F, h, w]` for a clip of that many pixels and frames. Raises ValueError with the nearest fit."""
    for name, value in (("Width", width), ("Height", height)):
        if value % grid.spatial or value < grid.spatial:
            lower = max(grid.spatial, value // grid.spatial * grid.spatial)
            raise ValueError(
                f"{name} {value} is not a multiple of {grid.spatial}: "
                f"use {_either(lower, lower + grid.spatial, value)}."
            )
    if (length - 1) % grid.temporal or length < 1:
        lower = max(1, (length - 1) // grid.temporal * grid.temporal + 1)
        raise ValueError(
            f"Length {length} is not a multiple of {grid.temporal} plus 1: "
            f"use {_either(lower, lower + grid.temporal, length)}."
        )
    frames = (length - 1) // grid.temporal + 1
    return [batch, grid.channels, frames, height // grid.spatial, width // grid.spatial]


def _either(lower: int, upper: int, value: int) -> str:
    return f"{lower}" if value < lower else f"{lower} or {upper}"
