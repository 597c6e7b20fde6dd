"""Videos that devices made alone and sent back: they land where ComfyUI's own outputs do."""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DeskError
from .folder import StateFolder, read_json, write_json
from .records import BundleRecord, BundleRecords
from .values import with_values, workflow_with
from .videos import EXTENSIONS, VideoRefused, tagged_video

log = logging.getLogger(__name__)

MAX_SHOWN = 50
MAX_KNOWN = 500
MAX_TRIES = 1000
FOLDER = "video"
_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")

# A prefix and an extension to the next free name, and its subfolder of the output folder.
Place = Callable[[str, str], tuple[Path, str]]


@dataclass(frozen=True)
class SentBack:
    """A device's result: where it lies, what it is, and what the device says of it (docs/protocol.md, 12)."""

    file: Path
    result_id: str
    bundle_id: str
    name: str
    values: Mapping[str, Any]
    seconds: float | None
    mime: str
    device_name: str


class ResultShelf:
    """Puts results into the output folder with their workflow, and remembers the newest. Thread-safe."""

    def __init__(
        self, folder: StateFolder, place: Place, *, metadata: bool = True, changed: Callable[[], None]
    ) -> None:
        """`metadata` False leaves the workflow out, as ComfyUI's --disable-metadata asks."""
        self._path = folder.root / "results.json"
        self._records = BundleRecords(folder)
        self._place, self._metadata, self._changed = place, metadata, changed
        self._lock = threading.Lock()

    def put(self, result: SentBack) -> None:
        """Place a result, once; one that cannot be parsed is dropped with a line in the log.

        Raises DeskError and OSError where the output folder cannot take it now; the bridge tries again.
        """
        with self._lock:
            kept = read_json(self._path)
            known = [str(entry) for entry in kept.get("known", [])]
            if result.result_id in known:
                return
            entry: dict[str, Any] | None = None
            try:
                entry = self._placed(result)
            except VideoRefused as error:
                log.warning("A result of %s was refused: %s", result.device_name, error)
            shown = ([entry] if entry else []) + list(kept.get("results", []))
            write_json(
                self._path,
                {"results": shown[:MAX_SHOWN], "known": [result.result_id, *known][:MAX_KNOWN]},
            )
        self._changed()

    def newest(self) -> list[dict[str, Any]]:
        """What `GET /results` answers."""
        return list(read_json(self._path).get("results", []))[:MAX_SHOWN]

    def _placed(self, result: SentBack) -> dict[str, Any]:
        if result.mime not in EXTENSIONS:
            raise VideoRefused(f"A device's video is MP4 or WebP, not {result.mime!r:.40}.")
        record = self._records.find(result.bundle_id)
        prefix = f"{FOLDER}/{_plain(record.name if record else 'device')}"
        tags = metadata_tags(record, result.values, result.seconds) if self._metadata else {}
        extension = EXTENSIONS[result.mime]
        folder = self._place(prefix, extension)[0].parent
        # In the same folder, so that the name it gets in the end appears with the whole file behind it.
        draft = folder / f".pocketvideo-{secrets.token_hex(6)}{extension}"
        try:
            tagged_video(result.file, result.mime, draft, tags)
            path, subfolder = self._reserved(prefix, extension)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        return {
            "name": result.name,
            "device_name": result.device_name,
            "file": {"filename": path.name, "subfolder": subfolder, "type": "output"},
            "created_at": time.time(),
            "seconds": result.seconds,
            "values": dict(result.values),
        }

    def _reserved(self, prefix: str, extension: str) -> tuple[Path, str]:
        """A free name, held by an empty file: ComfyUI may save under the same prefix at this moment."""
        for _ in range(MAX_TRIES):
            path, subfolder = self._place(prefix, extension)
            try:
                path.open("xb").close()
            except FileExistsError:
                continue
            return path, subfolder
        raise DeskError(f"There is no free name for {prefix} in the output folder: move some videos away.")


def metadata_tags(
    record: BundleRecord | None, values: Mapping[str, Any], seconds: float | None
) -> dict[str, Any]:
    """The tags of a video: prompt and workflow with these values in their widgets, and the values as such.

    Without a record, as of a bundle that another desk made, only the values. The device's name stays out:
    people pass their videos on.
    """
    tags: dict[str, Any] = {"pocketvideo": {"values": dict(values), "seconds": seconds}}
    if record is None:
        return tags
    prompt = with_values(record.prompt, record.places, values)
    tags["prompt"] = prompt
    if record.workflow is not None:
        workflow = workflow_with(record.workflow, record.prompt, prompt)
        # One with other values than were used would be worse than none: the page loads the prompt then.
        if workflow is not None:
            tags["workflow"] = workflow
    return tags


def _plain(name: str) -> str:
    """A bundle's name as a part of a file name."""
    return _PLAIN.sub("-", name).strip("-")[:40] or "device"
