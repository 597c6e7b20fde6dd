"""A small picture of a latent on its way, by a linear map from channels to colours."""

from __future__ import annotations

import numpy as np

from ..bundle import Component

MAX_SIDE = 128


def preview(component: Component, latent: np.ndarray) -> np.ndarray | None:
    """The middle frame of `[B, C, F, H, W]` as `[h, w, 3]` uint8; None when there is no map for it."""
    rgb = component.get("latent_rgb")
    if rgb is None or len(rgb["factors"]) != latent.shape[1]:
        return None
    frame = latent[0, :, latent.shape[2] // 2].transpose(1, 2, 0)
    stride = max(1, -(-max(frame.shape[:2]) // MAX_SIDE))
    colours = frame[::stride, ::stride] @ np.array(rgb["factors"], np.float32) + np.array(
        rgb["bias"], np.float32
    )
    return np.clip((colours + 1) * 127.5, 0, 255).astype(np.uint8)
