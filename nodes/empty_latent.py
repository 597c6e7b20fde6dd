"""Empty Pocket Video Latent."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io

from .host.sizes import DEFAULT_GRID, latent_shape
from .host.vae_grid import grid_of
from .inputs import size_inputs


class PocketVideoEmptyLatent(io.ComfyNode):
    """How large and how long the video will be."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoEmptyLatent",
            display_name="Empty Pocket Video Latent",
            category="PocketVideo",
            description="Says how large and how long the video will be. Link it to a sampler.",
            search_aliases=["pocket", "empty video", "video size"],
            inputs=[
                *size_inputs(),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="Only for a model other than the one that comes with the pack: link its VAE, "
                    "so that sizes fit it.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="Nothing yet, of the chosen size.")],
        )

    @classmethod
    def execute(cls, width: int, height: int, length: int, batch_size: int, vae: Any = None) -> io.NodeOutput:
        grid = DEFAULT_GRID if vae is None else grid_of(vae)
        samples = torch.zeros(
            latent_shape(width, height, length, batch_size, grid),
            device=comfy.model_management.intermediate_device(),
        )
        return io.NodeOutput({"samples": samples, "downscale_ratio_spacial": grid.spatial})
