"""Results that devices made alone, on their way to the desk's output folder (docs/protocol.md section 12).

`ResultSpool` keeps each result in one folder: `ID.json` (what was announced, by whom, and its state),
`ID.part` (the bytes so far), `ID.mp4` or `ID.webp` (the whole, verified). A stored result is handed to
`on_result`; when that returns, its bytes are removed and `ID.json` stays, so that a device that asks again is
told `stored`.
Everything here is durable before it is acknowledged, and nothing is decoded (T18). Knows nothing about HTTP.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from .errors import ApiError
from .files import make_private_folder, write_private
from .media import check_file
from .outcome import DeviceInfo

log = logging.getLogger(__name__)

SUFFIXES = {"video/mp4": ".mp4", "image/webp": ".webp"}
MAX_OPEN_PER_DEVICE = 16
KEEP_SECONDS = 7 * 24 * 3600.0
KEEP_DELIVERED = 1000
# Space that the disk keeps when a result is taken.
RESERVE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Sender:
    """The device that made a result; it may have been revoked since."""

    device_id: str
    name: str
    kind: str

    def info(self) -> DeviceInfo:
        """As the desk is told; its times are not kept here and read 0."""
        return DeviceInfo(self.device_id, self.name, self.kind, 0.0, 0.0, False)


@dataclass(frozen=True)
class Announced:
    """A result as its device announced it; `seconds` is what the run took, None where it did not say."""

    result_id: str
    bundle_id: str
    name: str
    values: dict[str, Any]
    seconds: float | None
    mime: str
    bytes: int
    sha256: str


OnResult: TypeAlias = Callable[[Path, Announced, DeviceInfo], None]


@dataclass
class Entry:
    """One result in the spool; `state` goes open -> stored -> delivered."""

    announced: Announced
    sender: Sender
    state: str
    touched: float
    writing: bool = field(default=False, compare=False)


class ResultSpool:
    """The results that wait at the desk; made by `Desk.start`. Methods may be called from any thread.

    `limit` bounds the bytes of all results that are not delivered. Without `on_result` they wait here.
    """

    def __init__(self, folder: Path, limit: int, on_result: OnResult | None) -> None:
        self._folder = folder
        self._limit = limit
        self._on_result = on_result
        self._lock = threading.RLock()
        self._delivery = threading.Lock()
        self._entries = self._read()

    def announce(self, sender: Sender, result: Announced) -> tuple[bool, str, int]:
        """(whether it is new, `open` or `stored`, bytes received); ApiError 409, 429 or 507."""
        with self._lock:
            self._forget_old()
            entry = self._entries.get(result.result_id)
            if entry is not None:
                if entry.sender.device_id != sender.device_id or entry.announced != result:
                    raise ApiError(409, "conflict", "This result's id was announced with other content.")
                return False, *self._progress(entry)
            mine = [item for item in self._entries.values() if item.sender.device_id == sender.device_id]
            if sum(item.state == "open" for item in mine) >= MAX_OPEN_PER_DEVICE:
                raise ApiError(
                    429, "too_many", f"{MAX_OPEN_PER_DEVICE} results of this device are incomplete."
                )
            waiting = sum(
                item.announced.bytes for item in self._entries.values() if item.state != "delivered"
            )
            if waiting + result.bytes > self._limit:
                raise ApiError(
                    507, "no_space", "The desk's space for results that wait is full; try again later."
                )
            try:
                make_private_folder(self._folder)
                if shutil.disk_usage(self._folder).free < result.bytes + RESERVE_BYTES:
                    raise ApiError(507, "no_space", "The desk's disk is full; make room there and try again.")
                entry = Entry(result, sender, "open", time.time())
                self._save(entry)
            except OSError as error:
                raise _disk(error) from error
            self._entries[result.result_id] = entry
            return True, "open", 0

    def open(
        self, sender: Sender, result_id: str, part: tuple[int, int] | None, length: int
    ) -> Writing | None:
        """Begin to take `length` bytes; `part` is (first byte, total), None for the whole.

        Returns None if the result is stored already. ApiError 404, 409 `busy` or `wrong_offset`, 400 where
        the range does not fit.
        """
        with self._lock:
            entry = self._entries.get(result_id)
            if entry is None or entry.sender.device_id != sender.device_id:
                raise ApiError(404, "not_found", "This device announced no such result.")
            if entry.state != "open":
                return None
            if entry.writing:
                raise ApiError(409, "busy", "Another upload of this result is under way.")
            size, received = entry.announced.bytes, self._received(entry)
            if (length if part is None else part[1]) != size:
                raise ApiError(400, "bad_request", f"This result was announced with {size} bytes.")
            if part is not None and part[0] != received:
                raise ApiError(409, "wrong_offset", f"The desk has {received} bytes; go on there.")
            try:
                file = self._part(entry).open("wb" if part is None else "ab")
            except OSError as error:
                raise _disk(error) from error
            entry.writing, entry.touched = True, time.time()
            return Writing(self, entry, file)

    def deliver(self) -> None:
        """Hand every stored result to `on_result`, oldest first; blocks, and never raises."""
        if self._on_result is None:
            return
        with self._delivery:
            with self._lock:
                stored = [entry for entry in self._entries.values() if entry.state == "stored"]
            for entry in sorted(stored, key=lambda item: item.touched):
                try:
                    self._on_result(self._whole(entry), entry.announced, entry.sender.info())
                except Exception:
                    # The file stays, and the next start or the next result tries again.
                    log.exception("PocketVideo could not place a result of %s.", entry.sender.name)
                    continue
                with self._lock:
                    entry.state = "delivered"
                    self._save(entry)
                    self._whole(entry).unlink(missing_ok=True)

    # -- for Writing ----------------------------------------------------------------------------------------

    def received(self, entry: Entry) -> int:
        """Bytes on disk of an open result."""
        return self._received(entry)

    def store(self, entry: Entry) -> None:
        """Verify the whole and keep it; ApiError 400 `wrong_hash` or `wrong_kind` drops what came."""
        part, result = self._part(entry), entry.announced
        try:
            with open(part, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != result.sha256:
                raise ApiError(
                    400, "wrong_hash", "The result's SHA-256 is not the one announced; send it again."
                )
            check_file(part, result.mime)
        except ApiError:
            part.unlink(missing_ok=True)
            raise
        except OSError as error:
            raise _disk(error) from error
        with self._lock:
            os.replace(part, self._whole(entry))
            entry.state, entry.touched = "stored", time.time()
            self._save(entry)

    def _progress(self, entry: Entry) -> tuple[str, int]:
        if entry.state == "open":
            return "open", self._received(entry)
        return "stored", entry.announced.bytes

    def _received(self, entry: Entry) -> int:
        try:
            return self._part(entry).stat().st_size
        except FileNotFoundError:
            return 0

    def _part(self, entry: Entry) -> Path:
        return self._folder / f"{entry.announced.result_id}.part"

    def _whole(self, entry: Entry) -> Path:
        return self._folder / (entry.announced.result_id + SUFFIXES[entry.announced.mime])

    def _save(self, entry: Entry) -> None:
        document = {
            "announced": asdict(entry.announced),
            "sender": asdict(entry.sender),
            "state": entry.state,
            "touched": entry.touched,
        }
        write_private(
            self._folder / f"{entry.announced.result_id}.json", json.dumps(document).encode("utf-8")
        )

    def _read(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        if not self._folder.is_dir():
            return entries
        for path in self._folder.glob("*.json"):
            try:
                document = json.loads(path.read_bytes())
                entry = Entry(
                    Announced(**document["announced"]),
                    Sender(**document["sender"]),
                    document["state"],
                    float(document["touched"]),
                )
                if entry.announced.result_id != path.stem:
                    raise ValueError("another result's id")
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("PocketVideo drops the damaged entry %s of a result (%s).", path, error)
                path.unlink(missing_ok=True)
                continue
            # A crash between the two steps of `store` leaves the whole file with the older state.
            if entry.state == "open" and self._whole(entry).exists():
                entry.state = "stored"
            entries[path.stem] = entry
        return entries

    def _forget_old(self) -> None:
        now = time.time()
        gone = [
            entry
            for entry in self._entries.values()
            if entry.state == "open" and not entry.writing and now - entry.touched > KEEP_SECONDS
        ]
        delivered = sorted(
            (entry for entry in self._entries.values() if entry.state == "delivered"),
            key=lambda entry: entry.touched,
        )
        for entry in [*gone, *delivered[: max(0, len(delivered) - KEEP_DELIVERED)]]:
            del self._entries[entry.announced.result_id]
            self._part(entry).unlink(missing_ok=True)
            (self._folder / f"{entry.announced.result_id}.json").unlink(missing_ok=True)


class Writing:
    """One body on its way into the spool; `write` and `finish` block, `close` always follows."""

    def __init__(self, spool: ResultSpool, entry: Entry, file: Any) -> None:
        self._spool, self._entry, self._file = spool, entry, file

    @property
    def mime(self) -> str:
        """The kind that was announced."""
        return self._entry.announced.mime

    def write(self, chunk: bytes) -> None:
        """Append; ApiError 507 when the disk is full."""
        try:
            self._file.write(chunk)
            self._file.flush()
        except OSError as error:
            raise _disk(error) from error

    def finish(self) -> int | None:
        """Make it durable; None when the whole was stored, else the bytes received so far. ApiError 400."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _disk(error) from error
        received = self._spool.received(self._entry)
        if received < self._entry.announced.bytes:
            return received
        self._spool.store(self._entry)
        return None

    def close(self) -> None:
        """Let go of the file; what came stays, for the device to go on."""
        try:
            self._file.close()
        except OSError:
            log.warning("PocketVideo's disk is full: a device's result is incomplete.")
        finally:
            self._entry.touched = time.time()
            self._entry.writing = False


def _disk(error: OSError) -> ApiError:
    log.warning("PocketVideo cannot keep a device's result: %s.", error)
    return ApiError(507, "no_space", "The desk cannot write the result; its disk may be full.")
