"""One picture of the data set by its words: the first frame that the pack's example workflows start from."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from .shapes import BACKGROUNDS, COLOURS, MOTIONS, ROUND, SHAPES, draw_spec, render

# What may be asked for, in the order of the node's lists.
CHOICES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": tuple(SHAPES),
    "background": tuple(BACKGROUNDS),
    "place_for": tuple(MOTIONS),
}


def example_frame(colour: str, shape: str, background: str, place_for: str, seed: int, size: int) -> Tensor:
    """A picture `[size, size, 3]` uint8 of a shape that has room for the movement `place_for`.

    Eight bits, so that a PNG of it is the picture itself, on a desk and on a device.
    """
    # Turning a circle or a ring cannot be seen, so nothing is drawn for it.
    motion = "grow" if place_for == "spin" and shape in ROUND else place_for
    clip = render([draw_spec(random.Random(seed), colour, shape, motion, background)], 1, size, size)
    return ((clip[0, :, 0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).contiguous()
