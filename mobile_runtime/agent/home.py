"""The device's folder: whom it is paired with, its bundle store and what it made.

`device.json` holds bearer tokens: it is written with mode 0600, replaced atomically and never printed (T16).
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import AgentError

FORMAT = 1
CHANGE_SECONDS = 10.0


@dataclass(frozen=True)
class Pairing:
    """One desk that this device trusts: where it is, its authority (DER) and the token it knows us by."""

    desk_id: str
    desk_name: str
    host: str
    port: int
    certificate: bytes
    device_id: str
    device_name: str
    token: str

    def __repr__(self) -> str:
        # The generated one would print the token into a traceback or a log (T16).
        return f"Pairing({self.desk_name!r} at {self.host}:{self.port})"


class Home:
    """The folder given by `--home`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.outputs = folder / "outputs"
        self.results = folder / "results"
        self._path = folder / "device.json"

    def pairings(self) -> list[Pairing]:
        """The desks this device is paired with."""
        try:
            document = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        try:
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']!r}, not {FORMAT}")
            return [_read(entry) for entry in document["desks"]]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def add(self, pairing: Pairing) -> None:
        """Remember a desk; an older pairing with the same desk is replaced."""
        with self._changing():
            kept = [item for item in self.pairings() if item.desk_id != pairing.desk_id]
            self._write([*kept, pairing])

    def remove(self, desk_id: str) -> None:
        """Forget a desk."""
        with self._changing():
            self._write([item for item in self.pairings() if item.desk_id != desk_id])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one running agent; AgentError if another one has it."""
        self._make()
        with open(self.folder / "lock", "a+b") as file:
            if not _lock(file.fileno()):
                raise AgentError(f"Another agent runs in {self.folder}; stop it or give another --home.")
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold device.json for one change: two desks may be paired at once, in two processes."""
        self._make()
        with open(self.folder / "device.lock", "a+b") as file:
            end = time.monotonic() + CHANGE_SECONDS
            while not _lock(file.fileno()):
                if time.monotonic() > end:
                    raise AgentError(f"{self._path} is held by another process; end it and try again.")
                time.sleep(0.02)
            yield

    def _write(self, pairings: list[Pairing]) -> None:
        self._make()
        desks = [{**asdict(item), "certificate": _text(item.certificate)} for item in pairings]
        data = json.dumps({"format": FORMAT, "desks": desks}, indent=1).encode("utf-8")
        temporary = self.folder / f".device.json.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o700)

    def _damaged(self, error: Exception) -> AgentError:
        return AgentError(f"{self._path} cannot be read ({error}); delete it and pair this device again.")


def _read(entry: dict[str, Any]) -> Pairing:
    return Pairing(**{**entry, "certificate": base64.b64decode(entry["certificate"], validate=True)})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
