"""One send: what was asked for, how far it is, and the file that it survives a restart in."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import DeskError
from .folder import StateFolder, private_folder, read_json, write_json
from .pipeline import EXPORTING, PLANNING, QUEUED, TESTING, TRANSFERRING, WAITING
from .request import SendRequest
from .self_tests import psnr_from_json, psnr_json

DONE, FAILED, CANCELLED, INTERRUPTED = "done", "failed", "cancelled", "interrupted"
OPEN = frozenset({QUEUED, PLANNING, EXPORTING, WAITING, TRANSFERRING, TESTING})
OVER = frozenset({DONE, FAILED, CANCELLED, INTERRUPTED})
# Where each state begins in the whole send, and its share.
SPANS = {
    QUEUED: (0.0, 0.0),
    PLANNING: (0.0, 0.02),
    EXPORTING: (0.02, 0.43),
    WAITING: (0.45, 0.0),
    TRANSFERRING: (0.45, 0.47),
    TESTING: (0.92, 0.08),
}
_ID = re.compile(r"[0-9a-f]{16}")
# No estimate from less than this.
LEAST_SECONDS = 1.0


@dataclass
class Send:
    """A send and its progress; `lock` guards what changes. Times are Unix seconds."""

    send_id: str
    name: str
    device_id: str
    device_name: str
    request: SendRequest
    created_at: float
    state: str = QUEUED
    stage: str = QUEUED
    fraction: float = 0.0
    message: str = ""
    bytes_sent: int = 0
    total_bytes: int = 0
    error: str | None = None
    # The device's worst PSNR in dB against the desk (`self_tests.py`); None until it tells one.
    self_test: float | None = None
    # Every state that it came to, as (fraction, message): whoever looks from time to time misses none.
    milestones: list[tuple[float, str]] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _state_since: float = field(default_factory=time.monotonic)
    _first_fraction: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is still under way, or waits."""
        return self.state in OPEN

    def enter(self, state: str, fraction: float | None = None, message: str = "") -> bool:
        """Move to a state, or on in it; True where the state changed. The bar never goes back."""
        with self.lock:
            changed = state != self.state
            if changed:
                self.state = self.stage = state
                self._state_since, self._first_fraction = time.monotonic(), fraction or 0.0
            begin, share = SPANS.get(state, (self.fraction, 0.0))
            within = min(1.0, max(0.0, fraction or 0.0))
            self.fraction = max(self.fraction, begin + share * within)
            if state == TRANSFERRING and fraction is not None:
                self.bytes_sent = max(self.bytes_sent, int(within * self.total_bytes))
            if message or changed:
                self.message = message[:500]
            if changed:
                self.milestones.append((self.fraction, self.message))
            return changed

    def end(self, state: str, error: str | None = None) -> None:
        """Come to an end."""
        with self.lock:
            self.state = state
            self.error = error
            self.message = ""
            if state == DONE:
                self.fraction, self.bytes_sent = 1.0, self.total_bytes

    def begin_again(self) -> None:
        """Back to the start, for another try."""
        with self.lock:
            self.state = self.stage = QUEUED
            self.fraction, self.bytes_sent, self.error, self.message = 0.0, 0, None, ""
            self.self_test = None
            self.cancel = threading.Event()
            self.milestones = []

    def seconds_left(self) -> float | None:
        """How long the present stage will take on, by how it went so far; None where nothing is known."""
        begin, share = SPANS.get(self.state, (0.0, 0.0))
        if not share:
            return None
        within = (self.fraction - begin) / share
        gone, took = within - self._first_fraction, time.monotonic() - self._state_since
        return round(took * (1 - within) / gone, 1) if gone > 0.02 and took > LEAST_SECONDS else None

    def public(self) -> dict[str, Any]:
        """As `GET /sends` tells it (docs/desk-api.md)."""
        with self.lock:
            told = {
                name: getattr(self, name)
                for name in (
                    "send_id",
                    "name",
                    "device_id",
                    "device_name",
                    "state",
                    "stage",
                    "message",
                    "bytes_sent",
                    "total_bytes",
                    "created_at",
                    "error",
                )
            }
            return {
                **told,
                "fraction": round(self.fraction, 4),
                "seconds_left": self.seconds_left(),
                "self_test": psnr_json(self.self_test),
            }


class SendStore:
    """The sends in a state folder: one folder each, with `send.json` and the bundle while it is needed."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder.sends

    def new(self, request: SendRequest, name: str, device_id: str, device_name: str) -> Send:
        """A send that was not there before, saved."""
        send = Send(secrets.token_hex(8), name, device_id, device_name, request, time.time())
        self.save(send)
        return send

    def save(self, send: Send) -> None:
        """Write what a restart has to know. Raises DeskError where the folder cannot be written."""
        kept = {name: value for name, value in send.public().items() if name != "seconds_left"}
        write_json(self._folder / send.send_id / "send.json", {**kept, "request": asdict(send.request)})

    def load(self) -> list[Send]:
        """Every send, oldest first; what was open when the process ended is `interrupted`."""
        found = []
        for path in self._folder.glob("*/send.json") if self._folder.is_dir() else ():
            send = _read(path)
            if send is not None:
                found.append(send)
        return sorted(found, key=lambda send: send.created_at)

    def bundle_folder(self, send_id: str) -> Path:
        """Where the bundle of a send lies while it is needed."""
        return private_folder(self._folder / send_id) / "bundle"

    def drop_bundle(self, send_id: str) -> None:
        """Free the space of a bundle; the exports it came from stay in the cache."""
        shutil.rmtree(self._folder / send_id / "bundle", ignore_errors=True)

    def forget(self, send_id: str) -> None:
        """Remove a send from the disk."""
        shutil.rmtree(self._folder / send_id, ignore_errors=True)


def _read(path: Path) -> Send | None:
    saved = read_json(path)
    try:
        if not _ID.fullmatch(saved["send_id"]) or saved["send_id"] != path.parent.name:
            return None
        send = Send(
            saved["send_id"],
            str(saved["name"]),
            str(saved["device_id"]),
            str(saved["device_name"]),
            SendRequest(**saved["request"]),
            float(saved["created_at"]),
        )
        send.state, send.stage = str(saved["state"]), str(saved["stage"])
        send.fraction, send.error = float(saved["fraction"]), saved["error"]
        send.bytes_sent, send.total_bytes = int(saved["bytes_sent"]), int(saved["total_bytes"])
        # One that an older version kept has none.
        send.self_test = psnr_from_json(saved.get("self_test"))
    except (KeyError, TypeError, ValueError, DeskError):
        return None
    if send.state not in OVER:
        send.state = INTERRUPTED
    return send
