"""Leap Report."""

from __future__ import annotations

import json
from typing import Any

import torch
from comfy_api.latest import io, ui

from ..pocketvideo.eval.sheet import as_images
from .host.leap_report import report_runs
from .host.progress import show_text


class PocketVideoLeapReport(io.ComfyNode):
    """Where a Leap leapt, what it saved, and how straight the path was."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoLeapReport",
            display_name="Leap Report",
            category="PocketVideo/acceleration",
            description="Shows where a Leap leapt, how many evaluations it saved, and how straight the path "
            "was at each step.",
            search_aliases=["pocket", "LPL", "similarity", "evaluations saved", "statistics"],
            inputs=[
                io.Sampler.Input("sampler", tooltip="The output of Leap, the same that the sampling used."),
                io.Latent.Input("samples", tooltip="What was sampled with it. It passes through unchanged."),
            ],
            outputs=[
                io.Latent.Output(display_name="samples", tooltip="The latent that came in."),
                io.Image.Output(display_name="plot", tooltip="The curve as a picture, one per sampling."),
                io.String.Output(display_name="report", tooltip="All numbers as JSON."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, sampler: Any, samples: dict[str, Any]) -> io.NodeOutput:
        report = report_runs(sampler, cls.hidden.prompt, cls.hidden.unique_id)
        show_text(cls.hidden.unique_id, report.summary)
        plot = torch.cat([as_images(picture) for picture in report.pictures])
        text = json.dumps(report.data, indent=1)
        shown = {
            **ui.PreviewImage(plot, cls=cls).as_dict(),
            **ui.PreviewText(report.summary).as_dict(),
            "pocketvideo": [report.data],
        }
        return io.NodeOutput(samples, plot, text, ui=shown)
