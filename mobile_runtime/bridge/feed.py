"""What one connection of a device is told, a message at a time: jobs, withdrawals, and why it ends.

A long poll opens a feed for one message; a WebSocket (docs/protocol.md) holds one as long as it lives.
Lives on the bridge's event loop and knows nothing about HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .jobs import Job, JobBoard


class Feed:
    """A device's newest connection that waits for work, as a context manager; made by `JobBoard.subscribe`.

    Opening one says that the device works on nothing: its oldest unfinished job is handed out, or out anew.
    """

    def __init__(self, board: JobBoard, device_id: str) -> None:
        self._board = board
        self._device_id = device_id
        self._wake = asyncio.Event()
        self._job: Job | None = None
        self.ended = ""
        """Why there is nothing more to tell: `replaced`, `revoked`, `stopping`; empty while there may be."""

    async def message(self, seconds: float | None = None) -> dict[str, Any] | None:
        """The next message to send as it is; None when the feed has ended or `seconds` went by without one.

        After a job comes its `cancel`, if the desk withdraws it, or the next job once this one is over.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    self._wake.clear()
                    if (message := self._next()) is not None:
                        return message
                    if seconds == 0:
                        break
                    await self._wake.wait()
        return None

    def signal(self) -> None:
        """Look again: a job came, ended or was withdrawn."""
        self._wake.set()

    def end(self, reason: str) -> None:
        """Tell nothing more."""
        self.ended = self.ended or reason
        self._wake.set()

    def _next(self) -> dict[str, Any] | None:
        if self._job is not None and not self._job.open:
            job, self._job = self._job, None
            if job.state == "cancelled":
                return {"type": "cancel", "job_id": job.job_id}
        if self._job is None:
            self._job = self._board.hand_out(self._device_id)
            return None if self._job is None else self._job.message()
        return None

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An exception is a device that hung up: it must not look connected any longer.
        self._board.unsubscribe(self._device_id, self, here=kind is None and not self.ended)
