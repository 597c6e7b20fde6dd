"""A node pack for the tests alone: tiny video models of every family, inputs for them, and a look at latents.

Only test servers load it (ComfyServer's `extra_packs`). ComfyUI imports it as a folder in custom_nodes.
"""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .inputs import (
    FamilyConditioning,
    FamilyGivenFrames,
    FamilyLatent,
    FamilyLatentFacts,
    FamilyReferenceLatent,
    FamilyShuffledText,
    FamilyVisionFeatures,
)
from .loaders import FamilyTinyModel, FamilyTinyText, FamilyWriteCheckpoints


class FamilyExtension(ComfyExtension):
    """ComfyUI's view of the test pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            FamilyConditioning,
            FamilyGivenFrames,
            FamilyLatent,
            FamilyLatentFacts,
            FamilyReferenceLatent,
            FamilyShuffledText,
            FamilyTinyModel,
            FamilyTinyText,
            FamilyVisionFeatures,
            FamilyWriteCheckpoints,
        ]


async def comfy_entrypoint() -> FamilyExtension:
    return FamilyExtension()
