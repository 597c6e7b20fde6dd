"""Latent to video through a decoder that takes all frames at once, or one that goes on from piece to piece.

A decoder in pieces is two components with the same weights: one for the first latent frame and one for every
later frame. Each gives, beside its frames, what the next piece needs of what came before; the names of these
outputs are those of the inputs that take them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import rng
from .streaming import Component

# What a decoder is given that wants noise in its latent; ComfyUI draws it anew at every run.
NOISE_SEED = 0
Check = Callable[[], None]
# (pieces done, pieces in all)
Progress = Callable[[int, int], None]


def decode_whole(component: Component, latent: np.ndarray, check: Check) -> np.ndarray:
    """Frames `[1, 3, T, H, W]` of a latent `[1, C, F, h, w]`."""
    given = {"latent": latent}
    if "noise" in component.spec["inputs"]:
        given["noise"] = rng.normal(NOISE_SEED, latent.shape)
    return component.run(given, check)["frames"]


def decode_in_pieces(
    first: Component, later: Component, latent: np.ndarray, check: Check, progress: Progress
) -> np.ndarray:
    """The same, one latent frame at a time."""
    carried: dict[str, np.ndarray] = {}
    frames = []
    count = latent.shape[2]
    for index in range(count):
        made = (later if index else first).run({"latent": latent[:, :, index : index + 1], **carried}, check)
        frames.append(made.pop("frames"))
        carried = made
        progress(index + 1, count)
    return np.concatenate(frames, axis=2)
