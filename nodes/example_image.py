"""Example First Frame."""

from __future__ import annotations

from comfy_api.latest import io

from ..pocketvideo.training.data.example import CHOICES, example_frame


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
                io.Combo.Input("colour", options=list(CHOICES["colour"]), tooltip="The colour of the shape."),
                io.Combo.Input("shape", options=list(CHOICES["shape"]), tooltip="What is drawn."),
                io.Combo.Input(
                    "background", options=list(CHOICES["background"]), tooltip="What is behind it."
                ),
                io.Combo.Input(
                    "place_for",
                    options=list(CHOICES["place_for"]),
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
        frame = example_frame(colour, shape, background, place_for, seed, size)
        return io.NodeOutput(frame[None].float() / 255)
