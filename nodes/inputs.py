"""Widgets that several nodes share."""

from __future__ import annotations

from comfy_api.latest import io

from .host.sizes import MAX_FRAMES, MAX_SIDE


def size_inputs() -> list[io.Input]:
    """Width, height, length and batch size of a clip."""
    return [
        io.Int.Input(
            "width", default=128, min=32, max=MAX_SIDE, step=32, tooltip="Width of the video in pixels."
        ),
        io.Int.Input(
            "height", default=128, min=32, max=MAX_SIDE, step=32, tooltip="Height of the video in pixels."
        ),
        io.Int.Input(
            "length",
            default=17,
            min=1,
            max=MAX_FRAMES,
            step=4,
            tooltip="Number of frames, a multiple of 4 plus 1. The pack's own model learned 17.",
        ),
        io.Int.Input(
            "batch_size",
            default=1,
            min=1,
            max=64,
            tooltip="How many videos to make at once. A device makes one.",
        ),
    ]
