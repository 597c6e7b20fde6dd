"""Compare Videos."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui

from ..pocketvideo.eval.comparison import compare
from ..pocketvideo.eval.comparison_plot import (
    MAX_COLUMNS,
    Names,
    comparison_plot,
    comparison_sheet,
    stacked,
)
from ..pocketvideo.eval.sheet import as_images
from .host.progress import show_text


class PocketVideoCompareVideos(io.ComfyNode):
    """What an acceleration kept of a video: PSNR, SSIM, motion and flicker, frame by frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoCompareVideos",
            display_name="Compare Videos",
            category="PocketVideo/evaluation",
            description="Shows two videos of one length and size above each other with their difference, and "
            "measures how close they are and how much motion is kept.",
            search_aliases=["pocket", "psnr", "ssim", "flicker", "difference", "metrics", "quality", "diff"],
            inputs=[
                io.Image.Input("base", tooltip="The video to measure against: without the acceleration."),
                io.Image.Input(
                    "accelerated",
                    tooltip="The same video made faster: same seed, length and size.",
                ),
                io.String.Input(
                    "base_name", default="Base", tooltip="What the first video is called in the pictures."
                ),
                io.String.Input(
                    "accelerated_name",
                    default="Accelerated",
                    tooltip="What the second video is called in the pictures.",
                ),
                io.Int.Input(
                    "columns",
                    default=6,
                    min=1,
                    max=MAX_COLUMNS,
                    tooltip="How many frames the sheet shows, evenly from the first to the last. All frames "
                    "are measured.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="sheet",
                    tooltip="Frames of both videos above each other, and their difference, amplified.",
                ),
                io.Image.Output(
                    display_name="plot", tooltip="PSNR of every frame, and the motion of both videos."
                ),
                io.String.Output(display_name="report", tooltip="Every number as JSON."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        base: torch.Tensor,
        accelerated: torch.Tensor,
        base_name: str,
        accelerated_name: str,
        columns: int,
    ) -> io.NodeOutput:
        measured = compare(base, accelerated)
        names = Names(base_name, accelerated_name)
        sheet = comparison_sheet(base, accelerated, measured, names, columns)
        plot = comparison_plot(measured, names, sheet.width)
        # One picture: the editor shrinks several of a node to thumbnails.
        shown = ui.PreviewImage(as_images(stacked([sheet, plot])), cls=cls).as_dict()
        show_text(cls.hidden.unique_id, measured.summary())
        return io.NodeOutput(
            as_images(sheet),
            as_images(plot),
            measured.as_json(),
            ui={**shown, "pocketvideo": [measured.as_dict()]},
        )
