"""What the compiler asks of this ComfyUI: models and input images by their widgets' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...desk.hub_models import with_local_models
from ...desk.names import PathError
from ...pocketvideo.export import Geometry, WorkflowError
from ...pocketvideo.export.modelfile import read_geometry
from . import folders


class HostLookups:
    """The compiler's window on the desk's folders; every name is contained in its folder (T7)."""

    def prepared(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt with every model of the Hub named by its file here. Raises WorkflowError."""
        return with_local_models(prompt, folders.download_folder())

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
