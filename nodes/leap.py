"""Leap."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .host.leaping import with_leap


class PocketVideoLeap(io.ComfyNode):
    """On-device Sora's Linear Proportional Leap around any sampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoLeap",
            display_name="Leap",
            category="PocketVideo/acceleration",
            description="Makes a sampler leap: once its path is straight, it skips the remaining steps and "
            "lands where the path leads. Saves up to half of the time of 20 steps or more.",
            search_aliases=["pocket", "LPL", "linear proportional leap", "skip steps", "speed up", "faster"],
            inputs=[
                io.Sampler.Input("sampler", tooltip="Any sampler that follows a schedule: KSamplerSelect."),
                io.DynamicCombo.Input(
                    "mode",
                    options=[
                        io.DynamicCombo.Option("adaptive", _adaptive_inputs()),
                        io.DynamicCombo.Option("fixed", _fixed_inputs()),
                    ],
                    tooltip="adaptive watches each video and leaps when its path is straight; "
                    "fixed leaps at a step that you choose.",
                ),
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="sampler",
                    tooltip="The same sampler, leaping: for SamplerCustomAdvanced, SamplerCustom, and "
                    "Leap Report.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            # What a run shows goes to the node of this id, so that another node must not get this one's
            # output out of ComfyUI's cache, which overlooks the id that a node of this kind asks for.
            not_idempotent=True,
        )

    @classmethod
    def execute(cls, sampler: Any, mode: dict[str, Any]) -> io.NodeOutput:
        from ..pocketvideo.acceleration.leaping import LeapConfig

        return io.NodeOutput(with_leap(sampler, LeapConfig(**mode), cls.hidden.unique_id))


def _adaptive_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "minimum",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="The part of the steps that always runs. Lower is faster and less like the full video.",
        ),
        io.Float.Input(
            "tolerance",
            default=0.001,
            min=0.0,
            max=1.0,
            step=0.0005,
            round=False,
            tooltip="The path still bends while its similarity from step to step rises by more than this.",
        ),
        io.Int.Input(
            "patience",
            default=3,
            min=1,
            max=100,
            tooltip="For how many steps in a row the path must have stayed straight.",
        ),
    ]


def _fixed_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "step",
            default=15,
            min=0,
            max=10_000,
            tooltip="The step to leap at, counted from 0: 15 of 30 steps evaluates the model 16 times.",
        ),
    ]
