"""ComfyUI-PocketVideo: video diffusion that fits a phone.

This folder is a ComfyUI custom node and, installed with pip, the Python package `comfyui_pocketvideo`.
Importing it does nothing: no network, no thread, no file, no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> ComfyExtension:
    """What ComfyUI calls to learn the pack's nodes."""
    from .nodes.extension import PocketVideoExtension

    return PocketVideoExtension()
