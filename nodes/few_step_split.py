"""High-Low Split."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io


class PocketVideoHighLowSplit(io.ComfyNode):
    """First steps by one model, last ones by another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoHighLowSplit",
            display_name="High-Low Split",
            category="PocketVideo/few-step",
            description="Joins two schedules: the first steps follow one, with guidance for example, and the "
            "last ones the other, distilled. They meet at a noise level that the second model knows.",
            search_aliases=["pocket", "split sigmas", "Wan 2.2", "high noise", "low noise", "two experts"],
            inputs=[
                io.Sigmas.Input("high", tooltip="The schedule of the first steps, as of BasicScheduler."),
                io.Sigmas.Input("low", tooltip="The schedule of the last steps, as of Few-Step Schedule."),
                io.Float.Input(
                    "boundary",
                    default=0.875,
                    min=0.01,
                    max=1.0,
                    step=0.005,
                    round=False,
                    tooltip="The second model takes over at the first sigma of low that is not above this.",
                ),
            ],
            outputs=[
                io.Sigmas.Output(display_name="high", tooltip="For the first sampler, which adds the noise."),
                io.Sigmas.Output(display_name="low", tooltip="For the second sampler, with Disable Noise."),
            ],
        )

    @classmethod
    def execute(cls, high: Any, low: Any, boundary: float) -> io.NodeOutput:
        import torch

        from ..pocketvideo.few_step import split_at

        # From float32, as the device's engine holds them.
        first, second = split_at(tuple(high.float().tolist()), tuple(low.float().tolist()), boundary)
        return io.NodeOutput(torch.tensor(first), torch.tensor(second))
