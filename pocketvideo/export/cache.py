"""A folder of finished exports, addressed by what they were made from, so that nothing is exported twice.

`graphs/` holds graphs by architecture: another training run of the same network reuses them. `components/`
holds whole components by model file. An entry is written to a temporary name and renamed, so a kill leaves no
half entry.
"""

import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .modelfile import file_digest

log = logging.getLogger(__name__)

ENTRY = "entry.json"
UNFINISHED = "unfinished-"
MAX_BYTES = 16 * 2**30
ABANDONED_SECONDS = 24 * 3600


def fingerprint(value: Any) -> str:
    """sha256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@functools.cache
def code_fingerprint() -> str:
    """sha256 of the sources that decide what an export holds: a changed exporter reuses nothing.

    Taken once in a process, for the code that runs is the code that was loaded.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    pack = here.parent.parent
    # Merging is in the graphs of a denoiser's twins.
    rooms = (here, here / "adapters", here.parent / "models", here.parent / "acceleration")
    sources = [path for room in rooms for path in room.glob("*.py")]
    for path in sorted([*sources, pack / "mobile_runtime" / "engine" / "merging.py"]):
        digest.update(path.relative_to(pack).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class ExportCache:
    """The cache in a folder that the caller names; it is made when first written to.

    Components take at most `limit` bytes: a new one drops those that were not used for longest.
    """

    def __init__(self, root: Path, limit: int = MAX_BYTES) -> None:
        self.root = root
        self.limit = limit

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
        """Folder and entry of a finished component whose files are all sound, or None; it counts as used."""
        folder = self.root / "components" / key
        try:
            entry = json.loads((folder / ENTRY).read_text("utf-8"))
            for path, (digest, _) in entry["files"].items():
                if file_digest(folder / path) != digest:
                    log.warning("The cached file %s is damaged and is exported again.", path)
                    return None
            os.utime(folder / ENTRY)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return folder, entry

    def drop(self, key: str) -> None:
        """Forget a component."""
        shutil.rmtree(self.root / "components" / key, ignore_errors=True)

    def store(self, key: str, fill: Callable[[Path], Mapping[str, Any]]) -> tuple[Path, dict[str, Any]]:
        """Make a component: `fill` writes its files into a folder and returns the entry."""
        parent = self.root / "components"
        parent.mkdir(parents=True, exist_ok=True)
        self._tidy(parent)
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=UNFINISHED))
        try:
            entry = dict(fill(temporary))
            (temporary / ENTRY).write_text(json.dumps(entry, sort_keys=True), "utf-8")
            self.drop(key)
            os.replace(temporary, parent / key)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            # Another process may have finished the same component in the meantime.
            found = self.component(key)
            if found is None:
                raise
            return found
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return parent / key, entry

    def _tidy(self, parent: Path) -> None:
        """Remove what a killed export left behind, and the oldest components beyond the limit."""
        for left in parent.glob(UNFINISHED + "*"):
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        entries = sorted(parent.glob(f"*/{ENTRY}"), key=lambda path: path.stat().st_mtime, reverse=True)
        held = 0
        for entry in entries:
            held += sum(path.stat().st_size for path in entry.parent.rglob("*") if path.is_file())
            if held > self.limit:
                log.info("The export cache is full; dropping %s.", entry.parent.name)
                shutil.rmtree(entry.parent, ignore_errors=True)
