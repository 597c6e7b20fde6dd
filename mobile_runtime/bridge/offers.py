"""What of a bundle's folder the bridge serves: the manifest's bytes and an index from hash to file (T7, T12).

A path never comes from a request: the index is built once from the manifest, every file is resolved inside the
bundle's folder, and links are refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .errors import ApiError, BridgeError


class BundleLike(Protocol):
    """The part of `mobile_runtime.bundle.Bundle` that the bridge needs."""

    @property
    def directory(self) -> Path: ...

    @property
    def id(self) -> str: ...


@dataclass(frozen=True)
class Blob:
    """One file of an offered bundle."""

    sha256: str
    size: int
    path: Path

    def open(self) -> BinaryIO:
        """Open for reading, if it is still the plain file that was offered; else ApiError 404."""
        try:
            descriptor = os.open(
                self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            )
        except OSError as error:
            raise _gone(self.path.name) from error
        file = os.fdopen(descriptor, "rb")
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != self.size:
            file.close()
            raise _gone(self.path.name)
        return file


@dataclass(frozen=True)
class BundleOffer:
    """A bundle ready to be served: its id, the manifest's exact bytes and its blobs by SHA-256."""

    bundle_id: str
    name: str
    manifest: bytes
    blobs: dict[str, Blob]

    @property
    def total_bytes(self) -> int:
        """Bytes a device without anything must fetch, the manifest included."""
        return len(self.manifest) + sum(blob.size for blob in self.blobs.values())

    @classmethod
    def of(cls, bundle: BundleLike) -> BundleOffer:
        """Index a bundle that `Bundle.open` accepted; BridgeError names a file that is not what it was."""
        root = Path(bundle.directory)
        try:
            manifest = (root / "manifest.json").read_bytes()
            document = json.loads(manifest)
            bundle_id = hashlib.sha256(manifest).hexdigest()
            if bundle_id != bundle.id:
                raise ValueError("its manifest changed since it was opened")
            blobs = dict(_blob(root, entry) for entry in document["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BridgeError(f"The bundle in {root} cannot be sent: {error}; export it again.") from error
        return cls(bundle_id, str(document["name"]), manifest, blobs)


def _blob(root: Path, entry: dict[str, Any]) -> tuple[str, Blob]:
    path = root / str(entry["path"])
    if not path.resolve().is_relative_to(root.resolve()) or path.is_symlink():
        raise ValueError(f"{entry['path']} lies outside the bundle or is a link")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(f"{entry['path']} has {size} bytes, not {entry['bytes']}")
    return str(entry["sha256"]), Blob(str(entry["sha256"]), size, path)


def _gone(name: str) -> ApiError:
    return ApiError(
        404, "not_found", f"The file {name} changed or went away at the desk; send the job again."
    )
