"""Latent to video and a photo to a latent, through networks that take all at once or go from piece to piece.

A network in pieces is two components with the same weights: one for the first latent frame and one for every
later frame. Each gives, beside its result, what the next piece needs of what came before; the names of these
outputs are those of the inputs that take them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import rng
from .errors import EngineError
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


def encode_in_pieces(
    first: Component,
    later: Component,
    image: np.ndarray,
    pieces: int,
    frames: int,
    check: Check,
    progress: Progress,
) -> np.ndarray:
    """The latent `[1, C, 1 + pieces, h, w]` of an image `[1, 3, 1, H, W]` that grey frames follow."""
    carried = first.run({"image": image}, check)
    latents = [carried.pop("latent")]
    # The middle between black and white, as ComfyUI fills up a clip.
    grey = np.zeros((1, 3, frames, *image.shape[3:]), np.float32)
    for piece in range(pieces):
        progress(piece + 1, pieces + 1)
        carried = later.run({"image": grey, **carried}, check)
        latents.append(carried.pop("latent"))
    return np.concatenate(latents, axis=2)


def given_channels(latent: np.ndarray | None, channels: int, shape: tuple[int, ...]) -> np.ndarray:
    """What a network reads besides its latent of this shape: a mask, 1 in frame 0, then an encoded clip.

    Zeros where there is none. Raises EngineError for a clip of another size.
    """
    given = np.zeros((shape[0], channels, *shape[2:]), np.float32)
    if latent is None:
        return given
    mask = channels - latent.shape[1]
    if mask < 0 or latent.shape[2:] != shape[2:]:
        raise EngineError(
            f"The picture's latent has the shape {latent.shape}, which does not fit a video of {shape} with"
            f" {channels} given channels; export the bundle again."
        )
    given[:, :mask, 0] = 1
    given[:, mask:] = latent
    return given
