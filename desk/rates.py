"""How fast things went here, so that the next send can say how long it will take."""

from __future__ import annotations

import threading

from .errors import DeskError
from .folder import StateFolder, read_json, write_json

# Bytes a second, until something was measured here: two cores export pocket_shapes with all its checks at
# about 3 MB/s; a file is copied and hashed at 200 MB/s, and a phone takes 10 MB/s through a home's wireless.
FIRST = {"export": 3e6, "copy": 2e8, "transfer": 1e7}
# What one more measurement counts.
SHARE = 0.4
# Less than this says more about latency than about speed.
LEAST_BYTES, LEAST_SECONDS = 100_000, 0.02
# Connecting, comparing lists, running the self-test.
FIXED_SECONDS = 2.0


class Rates:
    """Bytes a second by kind (`export`, `copy`, `transfer` or `transfer/DEVICE`), kept on disk."""

    def __init__(self, folder: StateFolder) -> None:
        self._path = folder.root / "rates.json"
        self._lock = threading.Lock()

    def of(self, kind: str) -> float:
        """The rate of a kind: measured, or of its general kind, or the first guess."""
        known = read_json(self._path)
        general = kind.partition("/")[0]
        for name in (kind, general):
            value = known.get(name)
            if isinstance(value, (int, float)) and value > 0:
                return float(value)
        return FIRST[general]

    def measured(self, kind: str, count: int, seconds: float) -> None:
        """Learn from `count` bytes that took so long."""
        if count < LEAST_BYTES or seconds < LEAST_SECONDS:
            return
        with self._lock:
            known = read_json(self._path)
            before = known.get(kind)
            now = count / seconds
            known[kind] = now if not isinstance(before, (int, float)) else before + SHARE * (now - before)
            try:
                write_json(self._path, known)
            except DeskError:
                return  # an estimate is not worth a failed send

    def seconds(self, device_id: str, exported: int, written: int, sent: int) -> float:
        """How long exporting, writing and sending so many bytes will take."""
        return (
            exported / self.of("export")
            + written / self.of("copy")
            + sent / self.of(f"transfer/{device_id}")
            + FIXED_SECONDS
        )
