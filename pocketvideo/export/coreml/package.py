"""Writing a package so that the same network gives the same bytes.

coremltools names the parts of a package by random ids, notes the day, and leaves the order of maps to chance.
A package that is the same every time is sent to a phone once.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

DATA = Path("Data") / "com.apple.CoreML"
MODEL, WEIGHTS = "model.mlmodel", "weights"
_AUTHOR = "com.apple.CoreML"
# A manifest wants ids in the form of UUIDs; they only have to differ within it.
_MODEL_ID = "00000000-0000-4000-8000-000000000001"
_WEIGHTS_ID = "00000000-0000-4000-8000-000000000002"
_COREMLTOOLS = "com.github.apple.coremltools."


def write_package(model: Any, path: Path, notes: dict[str, str]) -> None:
    """Save a coremltools model as the folder `path`, with `notes` in the metadata that an app can read."""
    spec = model.get_spec()
    kept = spec.description.metadata.userDefined
    for key in [key for key in kept if key.startswith(_COREMLTOOLS) and key.endswith("date")]:
        del kept[key]
    for key, value in notes.items():
        kept[key] = value
    spec.description.metadata.shortDescription = f"PocketVideo {notes['pocketvideo.stage']}"
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for operation in block.operations:
                # Where in the Python source an operation came from: nothing that a phone needs.
                for key in [key for key in operation.attributes if key not in ("name", "val")]:
                    del operation.attributes[key]
    if path.exists():
        shutil.rmtree(path)
    folder = path / DATA
    (folder / WEIGHTS).mkdir(parents=True)
    (folder / MODEL).write_bytes(spec.SerializeToString(deterministic=True))
    source = Path(model.weights_dir)
    for file in sorted(source.iterdir()):
        shutil.copyfile(file, folder / WEIGHTS / file.name)
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            _MODEL_ID: {
                "author": _AUTHOR,
                "description": "CoreML Model Specification",
                "name": MODEL,
                "path": f"{_AUTHOR}/{MODEL}",
            },
            _WEIGHTS_ID: {
                "author": _AUTHOR,
                "description": "CoreML Model Weights",
                "name": WEIGHTS,
                "path": f"{_AUTHOR}/{WEIGHTS}",
            },
        },
        "rootModelIdentifier": _MODEL_ID,
    }
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=4), "utf-8")
