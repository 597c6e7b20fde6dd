"""Example First Frame."""

from __future__ import annotations

import random

from comfy_api.latest import io

from ..pocketvideo.training.data.shapes import BACKGROUNDS, COLOURS, MOTIONS, ROUND, SHAPES, draw_spec, render


class PocketVideoExampleImage(io.ComfyNode):
    """A first frame of the kind that the pack's own model learned, so that a workflow runs at once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoExampleImage",
            display_name="Example First Frame",
            category="PocketVideo",
            description="Draws a shape, to try image to video without a photo at hand. Put Load Image in its "
            "place to use a picture of yours.",
            search_aliases=["pocket", "example image", "test image", "sample image", "shape"],
            inputs=[
                io.Combo.Input("colour", options=list(COLOURS), tooltip="The colour of the shape."),
                io.Combo.Input("shape", options=list(SHAPES), tooltip="What is drawn."),
                io.Combo.Input("background", options=list(BACKGROUNDS), tooltip="What is behind it."),
                io.Combo.Input(
                    "place_for",
                    options=list(MOTIONS),
                    tooltip="Leaves room for this movement. What moves is said in the prompt.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    control_after_generate=True,
                    tooltip="Another number draws it elsewhere.",
                ),
                io.Int.Input(
                    "size", default=128, min=32, max=1024, step=32, tooltip="Width and height in pixels."
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="One image.")],
        )

    @classmethod
    def execute(
        cls, colour: str, shape: str, background: str, place_for: str, seed: int, size: int
    ) -> io.NodeOutput:
        # Turning a circle or a ring cannot be seen, so nothing is drawn for it.
        motion = "grow" if place_for == "spin" and shape in ROUND else place_for
        spec = draw_spec(random.Random(seed), colour, shape, motion, background)
        clip = render([spec], frames=1, height=size, width=size)
        return io.NodeOutput(((clip[0].permute(1, 2, 3, 0) + 1) / 2).contiguous())
