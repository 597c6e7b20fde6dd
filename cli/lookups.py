"""Models and images of a workflow, found in folders that were named on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..desk.hub_models import with_local_models
from ..desk.names import PathError, checked_relative, inside
from ..pocketvideo.export import Geometry, WorkflowError
from ..pocketvideo.export.modelfile import read_geometry

OWN = "pocketvideo"
# What comes with the pack.
PACK_MODELS = Path(__file__).resolve().parents[1] / "models"


class FolderLookups:
    """Looks into model folders laid out as ComfyUI's `models/`, or that hold the files directly.

    Every name is contained in its folder (T7).
    """

    def __init__(self, models: Sequence[Path], photos: Sequence[Path], comfyui: Path | None = None) -> None:
        self._models = [*models, PACK_MODELS]
        self._photos = list(photos)
        self._comfyui = comfyui

    def prepared(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt with every model of the Hub named by its file. Raises WorkflowError."""
        return with_local_models(prompt, self._models[0] / OWN)

    def model(self, name: str) -> Geometry:
        """The latent layout of a PocketVideo model. Raises WorkflowError."""
        return read_geometry(self.model_file(name))

    def model_file(self, name: str) -> Path:
        """A PocketVideo model's file. Raises WorkflowError."""
        return self.file(OWN, name)

    def file(self, kind: str, name: str) -> Path:
        """A model file of a kind (`vae`, `loras`, ...). Raises WorkflowError."""
        folders = [place for folder in self._models for place in (folder / kind, folder)]
        found = _find(name, folders)
        if found is None:
            looked = ", ".join(str(folder) for folder in self._models[:-1]) or "no folder but the pack's"
            raise WorkflowError(
                f"There is no model {name!r:.200} of the kind {kind} in {looked}: name the folder with "
                "--models, or ComfyUI with --comfyui."
            )
        return found

    def image(self, name: str) -> Path:
        """An input image. Raises WorkflowError."""
        # ComfyUI's widget may name the folder at the end.
        plain = name.removesuffix(" [input]")
        found = _find(plain, self._photos)
        if found is None:
            raise WorkflowError(
                f"There is no image {plain!r:.200} beside the workflow: put it there or name its folder with "
                "--photos."
            )
        return found

    def tokenizer(self, family: str) -> Path | None:
        """T5's tokenizer in ComfyUI's sources, where they were named."""
        if self._comfyui is None or family != "ltxv":
            return None
        path = self._comfyui / "comfy" / "text_encoders" / "t5_tokenizer" / "tokenizer.json"
        return path if path.is_file() else None


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    try:
        relative = checked_relative(name)
    except PathError as error:
        raise WorkflowError(str(error)) from error
    for folder in folders:
        path = folder / relative
        if path.is_file() and inside(path, folder):
            return path
    return None
