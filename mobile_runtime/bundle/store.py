"""A content-addressed store of bundles: one copy of each file, however many bundles use it.

blobs/<first 2 hex>/<sha256>         a whole, verified file
blobs/<first 2 hex>/<sha256>.part    what an interrupted download left; it is re-hashed, never sent again
bundles/<id>/manifest.json           an installed bundle: every blob was there and right when this was written
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import threading
from pathlib import Path
from types import TracebackType

from ._types import File, Manifest
from .bundle import Bundle, read_manifest
from .errors import BundleError, DigestError, QuotaError
from .files import CHUNK, digest, sync_folder, write_atomic
from .manifest import MANIFEST_NAME, bundle_id, parse

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
# Room that a download leaves free, so that a phone does not stall with a full disk.
SPARE_BYTES = 64 * 2**20


class Store:
    """Bundles and their files below `root`, at most `quota` bytes of them (None: what the disk holds)."""

    def __init__(self, root: str | Path, quota: int | None = None) -> None:
        """Name the folder; nothing is written before the first file arrives."""
        self.root = Path(root)
        self.quota = quota
        self._receiving: set[str] = set()
        # What `commit` has just hashed need not be hashed again by `install`, if nobody touched it since.
        self._fresh: dict[str, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def blob_path(self, sha256: str) -> Path:
        """Where the file with this digest lies or will lie. Raises BundleError for what is no digest."""
        _check_digest(sha256)
        return self.root / "blobs" / sha256[:2] / sha256

    def part_path(self, sha256: str) -> Path:
        """Where the first bytes of a file that is still arriving lie."""
        return self.blob_path(sha256).with_suffix(".part")

    def has(self, entry: File) -> bool:
        """True when the file is there and whole. Its digest was checked when it arrived."""
        path = self.blob_path(entry["sha256"])
        return path.is_file() and path.stat().st_size == entry["bytes"]

    def missing(self, manifest: Manifest) -> list[File]:
        """The files a bundle still needs, each content once, in the manifest's order."""
        needed = {entry["sha256"]: entry for entry in manifest["files"]}
        return [entry for entry in needed.values() if not self.has(entry)]

    def resume_offset(self, entry: File) -> int:
        """How many bytes of a file are already here, 0 to its length; ask the sender for the rest."""
        if self.has(entry):
            return entry["bytes"]
        part = self.part_path(entry["sha256"])
        size = part.stat().st_size if part.is_file() else 0
        return size if size <= entry["bytes"] else 0

    def missing_bytes(self, manifest: Manifest) -> int:
        """How many bytes of a bundle still have to arrive."""
        return sum(entry["bytes"] - self.resume_offset(entry) for entry in self.missing(manifest))

    def used_bytes(self) -> int:
        """What the blobs take on disk, partial ones included."""
        return self._bytes_of("blobs/*/*")

    def existing_folder(self) -> Path:
        """The store's folder, or while it is not made yet, the nearest one above that exists."""
        folder = self.root.absolute()
        while not folder.exists():
            folder = folder.parent
        return folder

    def free_bytes(self) -> int:
        """What a bundle may still take: of the quota and the disk, files that are half here counted as free.

        Those files are resumed, not stored twice; so a bundle that is larger than this cannot fit.
        """
        free = max(0, shutil.disk_usage(self.existing_folder()).free - SPARE_BYTES)
        parts = self._bytes_of("blobs/*/*.part")
        if self.quota is not None:
            free = min(free, max(0, self.quota - self.used_bytes()))
        return free + parts

    def _bytes_of(self, pattern: str) -> int:
        size = 0
        for path in self.root.glob(pattern):
            # A transfer that runs may rename its file between the look and the question.
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
        return size

    def remove_unfinished(self) -> int:
        """Remove what interrupted downloads left; returns the bytes freed."""
        freed = 0
        for path in self.root.glob("blobs/*/*.part"):
            freed += path.stat().st_size
            path.unlink()
        return freed

    def check_room(self, manifest: Manifest) -> None:
        """Raise QuotaError when the bundle does not fit the quota or the disk."""
        need = self.missing_bytes(manifest)
        name = manifest["name"]
        if self.quota is not None:
            used = self.used_bytes()
            if used + need > self.quota:
                raise QuotaError(
                    f"The bundle {name!r} needs {_mb(need)} more and the store holds {_mb(used)} of its"
                    f" {_mb(self.quota)}; {self._remedy()}raise the quota."
                )
        free = shutil.disk_usage(self.existing_folder()).free
        if need + SPARE_BYTES > free:
            raise QuotaError(
                f"The bundle {name!r} needs {_mb(need)} and the disk has {_mb(free)} free, of which"
                f" {_mb(SPARE_BYTES)} are spared; {self._remedy()}make room, and send it again."
            )

    def _remedy(self) -> str:
        names = [parse(read_manifest(self._manifest_path(item)))["name"] for item in self.bundles()[:3]]
        return f"delete a bundle ({', '.join(names)}) or " if names else ""

    def receive(self, entry: File) -> PartFile:
        """Open a file for its arriving bytes, after those of an earlier try; use it as a context manager.

        Raises BundleError when the same content is already arriving in this process.
        """
        with self._lock:
            if entry["sha256"] in self._receiving:
                raise BundleError(f"{entry['path']} is already arriving; wait for it.")
            self._receiving.add(entry["sha256"])
        try:
            return PartFile(self, entry)
        except BaseException:
            self._release(entry)
            raise

    def install(self, data: bytes, expected_id: str | None = None) -> Bundle:
        """Verify a bundle whose files have all arrived, then record it; a second install changes nothing.

        Files that arrived through this object are not hashed a second time.

        A file that proves damaged is deleted, so that the next push sends it again.
        Raises ManifestError, DigestError (naming the file) or GraphError.
        """
        if expected_id is not None and bundle_id(data) != expected_id:
            raise DigestError(
                "The manifest that arrived is not the one that was announced; send it again.", MANIFEST_NAME
            )
        bundle = Bundle(data, self._locate)
        try:
            bundle.verify(skip=self._is_fresh)
        except DigestError as error:
            self.blob_path(bundle.files[error.path]["sha256"]).unlink(missing_ok=True)
            raise
        path = self._manifest_path(bundle.id)
        if not path.exists():
            write_atomic(path, data)
        return bundle

    def add(self, bundle: Bundle) -> Bundle:
        """Copy a bundle from elsewhere into the store and install it.

        Raises QuotaError and what `install` raises.
        """
        self.check_room(bundle.manifest)
        for entry in self.missing(bundle.manifest):
            with self.receive(entry) as part, bundle.path(entry["path"]).open("rb") as source:
                source.seek(part.offset)
                while chunk := source.read(CHUNK):
                    part.write(chunk)
                part.commit()
        return self.install(bundle.data, bundle.id)

    def open(self, identity: str) -> Bundle:
        """Open an installed bundle by id; checks the manifest's digest and the files' lengths.

        Raises BundleError when it is not installed, DigestError when a file is damaged or missing.
        """
        path = self._manifest_path(identity)
        if not path.is_file():
            raise BundleError(f"The bundle {identity[:12]} is not on this device; send it again.")
        data = read_manifest(path)
        if bundle_id(data) != identity:
            raise DigestError(
                f"The manifest of the bundle {identity[:12]} is damaged; send it again.", MANIFEST_NAME
            )
        bundle = Bundle(data, self._locate)
        bundle.check_sizes()
        return bundle

    def bundles(self) -> list[str]:
        """The ids of the installed bundles, sorted."""
        found = (path.parent.name for path in self.root.glob(f"bundles/*/{MANIFEST_NAME}"))
        return sorted(name for name in found if _SHA256.match(name))

    def remove(self, identity: str) -> int:
        """Remove a bundle and the files that no other installed bundle uses; returns the bytes freed."""
        path = self._manifest_path(identity)
        if not path.is_file():
            return 0
        mine = {entry["sha256"] for entry in parse(read_manifest(path))["files"]}
        path.unlink()
        path.parent.rmdir()
        for other in self.bundles():
            mine -= {entry["sha256"] for entry in parse(read_manifest(self._manifest_path(other)))["files"]}
        freed = 0
        for sha256 in mine:
            blob = self.blob_path(sha256)
            if blob.is_file():
                freed += blob.stat().st_size
                blob.unlink()
        return freed

    def _is_fresh(self, entry: File) -> bool:
        known = self._fresh.get(entry["sha256"])
        return known is not None and known == _mark(self.blob_path(entry["sha256"]))

    def _locate(self, entry: File) -> Path:
        return self.blob_path(entry["sha256"])

    def _manifest_path(self, identity: str) -> Path:
        _check_digest(identity)
        return self.root / "bundles" / identity / MANIFEST_NAME

    def _release(self, entry: File) -> None:
        with self._lock:
            self._receiving.discard(entry["sha256"])


class PartFile:
    """A file that is arriving.

    `offset` says how many bytes were already here; leaving without `commit` keeps all.
    """

    def __init__(self, store: Store, entry: File) -> None:
        """Open the `.part` file and hash what an earlier try left. Made by `Store.receive`."""
        self._store = store
        self._entry = entry
        self._part = store.part_path(entry["sha256"])
        self._hasher = hashlib.sha256()
        self._part.parent.mkdir(parents=True, exist_ok=True)
        if self._part.is_file() and self._part.stat().st_size > entry["bytes"]:
            self._part.unlink()
        self.offset = digest(self._part, self._hasher)[1] if self._part.is_file() else 0
        self._size = self.offset
        self._file = self._part.open("ab", buffering=0)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes.

        Raises DigestError when more arrive than the manifest lists; the part is then deleted. Raises
        BundleError when the disk takes no more; what is here stays.
        """
        if self._size + len(chunk) > self._entry["bytes"]:
            self._discard()
            raise DigestError(
                f"{self._entry['path']} is longer than its {self._entry['bytes']} bytes; send it again.",
                self._entry["path"],
            )
        view = memoryview(chunk)
        self._hasher.update(view)
        self._size += len(view)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._full(error) from error

    def commit(self) -> Path:
        """Check length and digest, then rename into place; returns the blob's path.

        Raises DigestError; a part with a wrong digest is deleted, one that is only short is kept for a
        resume.
        """
        path = self._entry["path"]
        if self._size != self._entry["bytes"]:
            raise DigestError(
                f"{path} ended after {self._size} of {self._entry['bytes']} bytes; ask for the rest.", path
            )
        if self._hasher.hexdigest() != self._entry["sha256"]:
            self._discard()
            raise DigestError(f"{path} arrived damaged (its SHA-256 differs); send it again.", path)
        blob = self._store.blob_path(self._entry["sha256"])
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, blob)
        except OSError as error:
            raise self._full(error) from error
        sync_folder(blob.parent)
        self._store._fresh[self._entry["sha256"]] = _mark(blob)
        return blob

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop receiving; the bytes stay for a resume unless they were refused."""
        self._file.close()
        self._store._release(self._entry)

    def _full(self, error: OSError) -> BundleError:
        return BundleError(
            f"{self._entry['path']} cannot be kept on this device ({error.strerror or error}); make room, and"
            " send the bundle again: what has arrived is not sent twice."
        )

    def _discard(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def _mark(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _check_digest(text: str) -> None:
    if not _SHA256.match(text):
        raise BundleError(f"{text[:80]!r} is not a SHA-256 in hex; ask by the digest in the manifest.")


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
