"""What of a bundle the bridge serves: the manifest's bytes and an index from hash to file (T7, T12).

A path never comes from a request: the index is built once from the manifest of an opened bundle, which
keeps its files inside its folder, and links are refused.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..bundle import Bundle, BundleError
from .errors import ApiError, BridgeError


@dataclass(frozen=True)
class Blob:
    """One file of an offered bundle."""

    sha256: str
    size: int
    path: Path

    def open(self) -> BinaryIO:
        """Open for reading, if it is still the plain file that was offered; else ApiError 404."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.path, flags)
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

    @classmethod
    def of(cls, bundle: Bundle) -> BundleOffer:
        """Index an opened bundle; BridgeError names a file that is not what it was."""
        try:
            bundle.check_sizes()
            blobs = {
                entry["sha256"]: Blob(entry["sha256"], entry["bytes"], bundle.path(name))
                for name, entry in bundle.files.items()
            }
        except (BundleError, OSError) as error:
            raise BridgeError(f"The bundle cannot be sent: {error}") from error
        return cls(bundle.id, bundle.manifest["name"], bundle.data, blobs)

    @property
    def total_bytes(self) -> int:
        """Bytes of files that a device with an empty store must fetch, each content once."""
        return sum(blob.size for blob in self.blobs.values())


def _gone(name: str) -> ApiError:
    return ApiError(
        404, "not_found", f"The file {name} changed or went away at the desk; send the job again."
    )
