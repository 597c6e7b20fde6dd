"""Waiting for a job in the caller's thread: pass on its events, notice silence, hear a cancel."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from .errors import BridgeError, PushCancelled
from .jobs import AWAY_SECONDS, Job, JobEvent

# Longest pause of an agent between two attempts to reach the desk is 10 s, so a living one calls within this.
CONNECT_SECONDS = 25.0
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.1


def wait_for_job(
    job: Job,
    device_name: str,
    silence: Callable[[], float],
    on_event: Callable[[JobEvent], None] | None,
    cancelled: Callable[[], bool] | None,
    connect_seconds: float,
    patience_seconds: float,
) -> None:
    """Return when `job` is over. `silence` gives the seconds since the device was heard of.

    Raises PushCancelled, or BridgeError when the device does not come within `connect_seconds` or stays away
    longer than `patience_seconds`.
    """
    tell = on_event or (lambda event: None)
    started = time.monotonic()
    seen = away = False
    tell(JobEvent("queued", None, f"waiting for {device_name}"))
    while True:
        over = job.over.is_set()
        try:
            while True:
                tell(job.events.get_nowait())
        except queue.Empty:
            pass
        if over:
            return
        if cancelled is not None and cancelled():
            raise PushCancelled(f"The job on {device_name} was cancelled.")
        quiet = silence()
        seen = seen or quiet < AWAY_SECONDS
        if not seen and time.monotonic() - started > connect_seconds:
            raise BridgeError(
                f"{device_name} is not connected; start it with"
                " `python -m comfyui_pocketvideo.mobile_runtime.agent --home FOLDER run` and queue the"
                " workflow again."
            )
        if seen and quiet > max(patience_seconds, AWAY_SECONDS):
            raise BridgeError(
                f"{device_name} went away and did not come back within {patience_seconds:.0f} seconds; start"
                " it again and queue the workflow again: what it has already is not sent twice."
            )
        if seen and (quiet > AWAY_SECONDS) != away:
            away = not away
            tell(
                JobEvent("away" if away else "queued", None, f"{device_name} is {'away' if away else 'back'}")
            )
        job.over.wait(LOOK_SECONDS)
