"""The list of nodes, and what is set up once when ComfyUI loads the pack."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .empty_latent import PocketVideoEmptyLatent
from .host.folders import register_model_folder
from .image_to_video import PocketVideoImageToVideo
from .loader import PocketVideoModelLoader


class PocketVideoExtension(ComfyExtension):
    """ComfyUI's view of the pack."""

    async def on_load(self) -> None:
        """Register the model folder."""
        register_model_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return [PocketVideoModelLoader, PocketVideoEmptyLatent, PocketVideoImageToVideo]
