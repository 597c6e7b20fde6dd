"""Telling the desk how a job goes, and hearing from it whether to go on (docs/protocol.md section 8)."""

from __future__ import annotations

import asyncio
import threading
import time

from .desk import Desk
from .errors import DeskRefused, DeskUnreachable
from .progress import ProgressLine

POST_SECONDS = 0.25
HEARTBEAT_SECONDS = 4.0


class Reporter:
    """Holds the newest progress of one job and posts it; sets `cancel` when the desk wants the job no more.

    Within a stage the newest word wins, and every stage is heard of, however short it was: a person who
    sees "download" and then a video would wonder what ran. `update` may be called from any thread and never
    waits; the task `run` ends when the job is withdrawn.
    """

    def __init__(self, desk: Desk, job_id: str, line: ProgressLine) -> None:
        self.cancel = threading.Event()
        self.withdrawn = asyncio.Event()
        self._desk = desk
        self._job_id = job_id
        self._line = line
        self._lock = threading.Lock()
        self._latest: tuple[str, float | None, str] = ("download", None, "asking for the manifest")
        self._pending: dict[str, tuple[str, float | None, str]] = {"download": self._latest}
        self._posting = asyncio.Lock()
        self._posted = 0.0

    def update(self, stage: str, fraction: float | None, message: str) -> None:
        """Note progress; the newest of its stage wins."""
        with self._lock:
            self._latest = (stage, fraction, message)
            self._pending[stage] = self._latest
        self._line.show(stage, fraction, message)

    async def run(self) -> None:
        """Post until the desk withdraws the job; a desk out of reach is tried again at the next turn."""
        while not self.withdrawn.is_set():
            if time.monotonic() - self._posted >= HEARTBEAT_SECONDS:
                with self._lock:
                    self._pending.setdefault(self._latest[0], self._latest)
            await self.flush()
            await asyncio.sleep(POST_SECONDS)

    async def flush(self) -> None:
        """Post what the desk has not heard yet, in the order of the stages."""
        async with self._posting:
            with self._lock:
                words, self._pending = list(self._pending.values()), {}
            for word in words:
                if self.withdrawn.is_set():
                    return
                self._posted = time.monotonic()
                try:
                    if await self._desk.event(self._job_id, *word) == "cancelled":
                        self.withdraw()
                except DeskUnreachable:
                    pass  # the work goes on; the result is sent when the desk is back
                except DeskRefused as error:
                    if error.status in (401, 404, 410):
                        self.withdraw()

    def withdraw(self) -> None:
        """The desk wants the job no more: stop whatever works on it."""
        self.cancel.set()
        self.withdrawn.set()
