"""Models that a workflow names by repository, as the files that lie here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pocketvideo.export import WorkflowError
from .hub import HubError, HubFile

# What the loader's widget `source` says.
HUB = "Hugging Face Hub"
LOADER = "PocketVideoModelLoader"


def with_local_models(prompt: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The prompt with every model that a loader took from the Hub named by its file in `folder`.

    Raises WorkflowError for a file that was not fetched yet: the device's model comes from this desk.
    """
    return {key: _local_model(node, folder) for key, node in prompt.items()}


def _local_model(node: Any, folder: Path) -> Any:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    if not isinstance(inputs, dict) or node.get("class_type") != LOADER or inputs.get("source") != HUB:
        return node
    try:
        file = HubFile(
            *(str(inputs.get(f"source.{name}", "")) for name in ("repository", "file", "revision"))
        )
    except HubError as error:
        raise WorkflowError(str(error)) from error
    if not (folder / file.local_name).is_file():
        raise WorkflowError(
            f"{file.name} of {file.repository} is not on this computer yet: "
            "run Load Pocket Video Model once before sending."
        )
    kept = {name: value for name, value in inputs.items() if not name.startswith("source")}
    return {**node, "inputs": {**kept, "model_name": file.local_name}}
