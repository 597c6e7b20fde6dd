"""Videos that this device made alone, kept until they are deleted (docs/protocol.md section 12).

results/<id>/result.json and the video beside it; a folder under any other name is one that a crash left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..bundle.files import sync_folder, write_atomic
from .errors import AgentError

MIMES = {".mp4": "video/mp4", ".webp": "image/webp"}
MAX_NAME = 100


@dataclass(frozen=True)
class Made:
    """One result: what it was made of, how long that took in seconds, and which desks have it already."""

    result_id: str
    bundle_id: str
    name: str
    values: dict[str, Any]
    seconds: float | None
    mime: str
    bytes: int
    sha256: str
    created_at: float
    file: str
    sent_to: tuple[str, ...] = ()

    def announcement(self) -> dict[str, Any]:
        """The body of POST /v1/results."""
        fields = ("result_id", "bundle_id", "name", "values", "seconds", "mime", "bytes", "sha256")
        return {field: getattr(self, field) for field in fields}


class Shelf:
    """The results below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """A folder to make a result in; what is not kept is removed."""
        folder = self._folder / f"new-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(
        self, video: Path, bundle_id: str, name: str, values: dict[str, Any], seconds: float | None
    ) -> Made:
        """Keep a video that lies in a `work_folder`: all of it or nothing is here after a crash."""
        with video.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        plain = " ".join(name.split())[:MAX_NAME] or "video"
        made = Made(
            result_id=secrets.token_hex(16),
            bundle_id=bundle_id,
            name="".join(char for char in plain if char.isprintable()) or "video",
            values=values,
            seconds=seconds,
            mime=MIMES[video.suffix],
            bytes=video.stat().st_size,
            sha256=sha256,
            created_at=time.time(),
            file=video.name,
        )
        write_atomic(video.parent / "result.json", _json(made))
        video.parent.rename(self._folder / made.result_id)
        sync_folder(self._folder)
        return made

    def results(self) -> list[Made]:
        """All results, oldest first; a damaged entry is left out."""
        found = []
        for path in self._folder.glob("*/result.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                made = Made(**json.loads(path.read_bytes()))
                if made.result_id == path.parent.name:
                    found.append(replace(made, sent_to=tuple(made.sent_to)))
        return sorted(found, key=lambda made: made.created_at)

    def find(self, prefix: str) -> Made:
        """The one result whose id starts so. Raises AgentError."""
        found = [made for made in self.results() if made.result_id.startswith(prefix)]
        if len(found) != 1:
            raise AgentError(
                f"{len(found) or 'No'} results have an id that starts with {prefix[:40]!r}; see `results`."
            )
        return found[0]

    def path(self, made: Made) -> Path:
        """Where the video lies."""
        return self._folder / made.result_id / Path(made.file).name

    def mark_sent(self, made: Made, desk_id: str) -> None:
        """Remember that a desk has it."""
        sent = replace(made, sent_to=(*made.sent_to, desk_id))
        write_atomic(self._folder / made.result_id / "result.json", _json(sent))

    def remove(self, made: Made) -> None:
        """Delete a result."""
        shutil.rmtree(self._folder / made.result_id)


def _json(made: Made) -> bytes:
    return json.dumps(asdict(made)).encode("utf-8")
