"""What the compiler asks of this ComfyUI: models and input images by their widgets' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...pocketvideo.export import Geometry, WorkflowError
from ...pocketvideo.export.modelfile import read_geometry
from ..loader import HUB
from . import folders
from .hub import HubError, HubFile
from .names import PathError


class HostLookups:
    """The compiler's window on the desk's folders; every name is contained in its folder (T7)."""

    def model(self, name: str) -> Geometry:
        """The latent layout of a model file. Raises WorkflowError."""
        return read_geometry(self.model_file(name))

    def model_file(self, name: str) -> Path:
        """The model's file. Raises WorkflowError."""
        try:
            return folders.model_path(name)
        except PathError as error:
            raise WorkflowError(str(error)) from error

    def image(self, name: str) -> Path:
        """An input image's file. Raises WorkflowError."""
        try:
            return folders.input_image_path(name)
        except PathError as error:
            raise WorkflowError(str(error)) from error

    def file(self, kind: str, name: str) -> Path:
        """A file that one of ComfyUI's own loaders loads. Raises WorkflowError."""
        try:
            return folders.loader_path(kind, name)
        except PathError as error:
            raise WorkflowError(str(error)) from error

    def tokenizer(self, family: str) -> Path | None:
        """T5's tokenizer, which LTX-Video's text encoder needs beside its file."""
        return folders.t5_tokenizer() if family == "ltxv" else None


def with_local_models(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt with every model that a loader took from the Hub named by its file here.

    Raises WorkflowError for a file that was not fetched yet: the device's model comes from this desk.
    """
    return {key: _local_model(node) for key, node in prompt.items()}


def _local_model(node: Any) -> Any:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    if not isinstance(inputs, dict) or node.get("class_type") != "PocketVideoModelLoader":
        return node
    if inputs.get("source") != HUB:
        return node
    try:
        file = HubFile(
            *(str(inputs.get(f"source.{name}", "")) for name in ("repository", "file", "revision"))
        )
    except HubError as error:
        raise WorkflowError(str(error)) from error
    if not (folders.download_folder() / file.local_name).is_file():
        raise WorkflowError(
            f"{file.name} of {file.repository} is not on this computer yet: "
            "run Load Pocket Video Model once before sending."
        )
    kept = {name: value for name, value in inputs.items() if not name.startswith("source")}
    return {**node, "inputs": {**kept, "model_name": file.local_name}}
