"""Pocket Image to Video."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.utils
import node_helpers
import torch
from comfy_api.latest import io

from .host.model import MOTION_KEY
from .host.sizes import latent_shape
from .host.vae_grid import grid_of
from .inputs import size_inputs


class PocketVideoImageToVideo(io.ComfyNode):
    """MobileI2V's conditioning: a given first frame, kept clean at time 0, and a motion score."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoImageToVideo",
            display_name="Pocket Image to Video",
            category="PocketVideo",
            description="Makes an image the first frame of the video and says how much should move.",
            search_aliases=["pocket", "i2v", "animate", "first frame", "motion"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="What should happen in the video."),
                io.Conditioning.Input("negative", tooltip="What should not happen; an empty prompt is fine."),
                io.Vae.Input("vae", tooltip="The VAE of Load Pocket Video Model."),
                io.Image.Input(
                    "image",
                    tooltip="The first frame, cut to the middle and resized to width and height.",
                ),
                *_between(size_inputs(), _motion_input()),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="positive", tooltip="The positive prompt with the motion score."
                ),
                io.Conditioning.Output(
                    display_name="negative", tooltip="The negative prompt with the motion score."
                ),
                io.Latent.Output(
                    display_name="latent", tooltip="The size of the video, with its first frame in place."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive: Any,
        negative: Any,
        vae: Any,
        image: torch.Tensor,
        width: int,
        height: int,
        length: int,
        motion: float,
        batch_size: int,
    ) -> io.NodeOutput:
        shape = latent_shape(width, height, length, batch_size, grid_of(vae))
        first = comfy.utils.common_upscale(image[:1].movedim(-1, 1), width, height, "bilinear", "center")
        frame = vae.encode(first.movedim(1, -1)[..., :3])
        device = comfy.model_management.intermediate_device()
        samples = torch.zeros(shape, device=device)
        samples[:, :, :1] = frame[:, :, :1].to(samples)
        mask = torch.ones((shape[0], 1, shape[2], 1, 1), device=device)
        mask[:, :, 0] = 0
        score = {MOTION_KEY: motion}
        return io.NodeOutput(
            node_helpers.conditioning_set_values(positive, score),
            node_helpers.conditioning_set_values(negative, score),
            {"samples": samples, "noise_mask": mask},
        )


def _motion_input() -> io.Input:
    return io.Float.Input(
        "motion",
        default=2.0,
        min=0.0,
        max=20.0,
        step=0.1,
        tooltip="How much moves. The model that comes with the pack learned 1 (slow) to 3 (fast).",
    )


def _between(sizes: list[io.Input], motion: io.Input) -> list[io.Input]:
    return [*sizes[:3], motion, *sizes[3:]]
