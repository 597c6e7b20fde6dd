"""Few-Step Schedule."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..pocketvideo.few_step import KNOWN, MAX_STEPS

FROM_MODEL = "as the model says"


class PocketVideoFewStepSchedule(io.ComfyNode):
    """The sigmas that a distilled student was trained at."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        steps = io.Int.Input(
            "steps",
            default=4,
            min=1,
            max=MAX_STEPS,
            tooltip="How many steps; the student says which numbers it was trained for.",
        )
        return io.Schema(
            node_id="PocketVideoFewStepSchedule",
            display_name="Few-Step Schedule",
            category="PocketVideo/few-step",
            description="The noise levels of a model that was distilled to few steps: read from the model, "
            "or those of a known public one.",
            search_aliases=[
                "pocket",
                "distilled",
                "DMD2",
                "CausVid",
                "Self-Forcing",
                "lightx2v",
                "LTX",
            ],
            inputs=[
                io.DynamicCombo.Input(
                    "student",
                    options=[
                        io.DynamicCombo.Option(FROM_MODEL, [steps]),
                        *(io.DynamicCombo.Option(name, []) for name in KNOWN),
                    ],
                    tooltip="Which student it is. Our own students carry the answer in their file.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The student, needed where the model says and for DMD2.",
                ),
            ],
            outputs=[
                io.Sigmas.Output(
                    display_name="sigmas",
                    tooltip="For SamplerCustomAdvanced and High-Low Split.",
                ),
            ],
        )

    @classmethod
    def execute(cls, student: dict[str, Any], model: Any = None) -> io.NodeOutput:
        import torch

        from .host.few_step import card_of, known_sigmas

        name = student["student"]
        if name == FROM_MODEL:
            return io.NodeOutput(torch.tensor(card_of(model).sigmas(student["steps"])))
        return io.NodeOutput(known_sigmas(name, model))
