"""Few-Step Sampler."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..pocketvideo.few_step import CHOICES, FROM_MODEL


class PocketVideoFewStepSampler(io.ComfyNode):
    """The sampler that a distilled student was trained for."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoFewStepSampler",
            display_name="Few-Step Sampler",
            category="PocketVideo/few-step",
            description="Samples a model that was distilled to few steps: with fresh noise between steps, "
            "or without. The same seed makes the same video on a paired device.",
            search_aliases=["pocket", "distilled", "LCM", "DMD2", "renoise", "re-noise", "euler"],
            inputs=[
                io.Combo.Input(
                    "sampling",
                    options=[FROM_MODEL, *CHOICES],
                    tooltip="fresh noise is for students that predict the clean video at every step (DMD2, "
                    "CausVid, Self-Forcing, ours); deterministic follows one path (LTX-Video, lightx2v).",
                ),
                io.Model.Input("model", optional=True, tooltip="The student, needed where the model says."),
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="sampler",
                    tooltip="For SamplerCustomAdvanced and SamplerCustom. Sample without guidance: CFG 1.",
                ),
            ],
        )

    @classmethod
    def execute(cls, sampling: str, model: Any = None) -> io.NodeOutput:
        from .host.few_step import sampler_for

        return io.NodeOutput(sampler_for(sampling, model))
