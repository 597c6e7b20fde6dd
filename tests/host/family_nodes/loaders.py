"""Tiny models: files for the host's own loaders, and objects where the host forces a file to be large."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from .checkpoints import write_all
from .in_process import BUILDERS, build, tiny_text


class FamilyWriteCheckpoints(io.ComfyNode):
    """Writes the tiny checkpoints into this server's models folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyWriteCheckpoints",
            category="PocketVideo/tests",
            is_output_node=True,
            outputs=[io.String.Output()],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        names = "\n".join(write_all(Path(folder_paths.models_dir)))
        return io.NodeOutput(names, ui={"files": names.splitlines()})


class FamilyTinyModel(io.ComfyNode):
    """A random model of a family whose sizes no file can choose, of the host's own classes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyTinyModel",
            category="PocketVideo/tests",
            inputs=[io.Combo.Input("family", options=list(BUILDERS))],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, family: str) -> io.NodeOutput:
        return io.NodeOutput(build(family))


class FamilyTinyText(io.ComfyNode):
    """A tiny text encoder from a file, as the host's CLIP: its own loader tells one by its full size."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyTinyText",
            category="PocketVideo/tests",
            inputs=[io.Combo.Input("type", options=["ltxv", "wan"])],
            outputs=[io.Clip.Output()],
        )

    @classmethod
    def execute(cls, type: str) -> io.NodeOutput:
        return io.NodeOutput(tiny_text(type))
