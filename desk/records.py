"""What the desk remembers of every bundle it made: its files, and the workflow it came from.

The list of files says what a device that holds the bundle need not be sent again. The workflow goes into the
metadata of videos that the device sends back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..mobile_runtime.bundle import Bundle
from .folder import StateFolder, read_json, write_json

MAX_RECORDS = 200
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BundleRecord:
    """A bundle that this desk made: `files` by SHA-256 with their bytes, `places` of the inputs
    (`values.py`), the prompt and, where the editor gave one, its workflow."""

    bundle_id: str
    name: str
    files: dict[str, int]
    prompt: dict[str, Any]
    workflow: dict[str, Any] | None
    places: dict[str, list[list[str]]]


class BundleRecords:
    """The records in a state folder, the newest ones."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder.bundles

    def keep(
        self,
        bundle: Bundle,
        name: str,
        prompt: dict[str, Any],
        workflow: dict[str, Any] | None,
        places: dict[str, list[list[str]]],
    ) -> None:
        """Remember a bundle. Raises DeskError where the folder cannot be written."""
        document = {
            "name": name,
            "created_at": time.time(),
            "files": {entry["sha256"]: entry["bytes"] for entry in bundle.files.values()},
            "prompt": prompt,
            "workflow": workflow,
            "places": places,
        }
        write_json(self._folder / f"{bundle.id}.json", document)
        self._forget_old()

    def find(self, bundle_id: str) -> BundleRecord | None:
        """The record of a bundle; None for one that this desk did not make, or forgot."""
        if not _ID.fullmatch(bundle_id):
            return None
        found = read_json(self._folder / f"{bundle_id}.json")
        try:
            return BundleRecord(
                bundle_id,
                str(found["name"]),
                dict(found["files"]),
                dict(found["prompt"]),
                found.get("workflow"),
                dict(found["places"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def files_of(self, bundle_ids: Iterable[str]) -> set[str]:
        """The SHA-256 of every file in these bundles, as far as they are known here."""
        found: set[str] = set()
        for bundle_id in bundle_ids:
            record = self.find(bundle_id)
            if record is not None:
                found |= set(record.files)
        return found

    def _forget_old(self) -> None:
        paths = sorted(self._folder.glob("*.json"), key=_age, reverse=True)
        for path in paths[MAX_RECORDS:]:
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
