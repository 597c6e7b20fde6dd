"""A folder of finished exports, addressed by what they were made from, so that nothing is exported twice.

`graphs/` holds graphs by architecture: another training run of the same network reuses them. `components/` holds
whole components by model file. An entry is written to a temporary name and renamed, so a kill leaves no half entry.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ENTRY = "entry.json"


def fingerprint(value: Any) -> str:
    """sha256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def code_fingerprint() -> str:
    """sha256 of the sources that decide what an export holds, so that a changed exporter never reuses old files."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), *(here.parent / "models").glob("*.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class ExportCache:
    """The cache in a folder that the caller names; it is made when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def graph(self, key: str, make: Callable[[], bytes]) -> Path:
        """The graph with this key, made where it is not there yet."""
        path = self.root / "graphs" / f"{key}.onnx"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            data = make()
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        return path

    def component(self, key: str) -> tuple[Path, dict[str, Any]] | None:
        """The folder and entry of a finished component whose files are all there with their sizes, or None."""
        folder = self.root / "components" / key
        try:
            entry = json.loads((folder / ENTRY).read_text("utf-8"))
            sizes = {path: (folder / path).stat().st_size for path in entry["files"]}
        except (OSError, ValueError, KeyError):
            return None
        if any(sizes[path] != described[1] for path, described in entry["files"].items()):
            return None
        return folder, entry

    def drop(self, key: str) -> None:
        """Forget a component."""
        shutil.rmtree(self.root / "components" / key, ignore_errors=True)

    def store(self, key: str, fill: Callable[[Path], Mapping[str, Any]]) -> tuple[Path, dict[str, Any]]:
        """Make a component: `fill` writes its files into a folder and returns the entry."""
        parent = self.root / "components"
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix="unfinished-"))
        try:
            entry = dict(fill(temporary))
            (temporary / ENTRY).write_text(json.dumps(entry, sort_keys=True), "utf-8")
            self.drop(key)
            os.replace(temporary, parent / key)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return parent / key, entry
