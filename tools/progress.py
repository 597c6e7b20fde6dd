"""A progress line for long stages, with the standard library alone: it runs before anything is installed."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from typing import TextIO

BAR_WIDTH = 24
HEARTBEAT_SECONDS = 20.0
TICK_SECONDS = 0.2


class Stage:
    """One long stage with a usual duration: a bar on a terminal, now and then a line in a log file.

    The bar is time against the usual time, and waits at 95% when a machine is slower than usual; `note` says
    what is being done. Use it as a context manager.
    """

    def __init__(self, title: str, usual_seconds: float, stream: TextIO | None = None) -> None:
        self.title = title
        self.usual_seconds = usual_seconds
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._note = ""
        self._started = time.monotonic()
        self._last = self._started
        self._ended = threading.Event()
        # A tool may say nothing for minutes; the bar moves all the same.
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Stage:
        self._started = self._last = time.monotonic()
        if self._live:
            self._draw()
        else:
            self._line(f"{self.title} (usually about {self.usual_seconds:.0f} s)")
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._ended.set()
        self._ticker.join()
        seconds = time.monotonic() - self._started
        outcome = "done" if kind is None else "stopped"
        self._line(f"{self.title}: {outcome} in {seconds:.0f} s")

    def note(self, text: str) -> None:
        """Say what is being done now. Cheap enough to call for every line of a tool's output."""
        self._note = text

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            if self._live:
                self._draw()
            elif time.monotonic() - self._last >= HEARTBEAT_SECONDS:
                self._last = time.monotonic()
                self._line(f"{self.title}: {self._last - self._started:.0f} s, {self._note}")

    def _draw(self) -> None:
        elapsed = time.monotonic() - self._started
        filled = int(BAR_WIDTH * min(0.95, elapsed / max(self.usual_seconds, 1.0)))
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        text = f"[{bar}] {self.title}  {elapsed:.0f} s of about {self.usual_seconds:.0f} s  {self._note}"
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[2K" + text[:width])
        self._stream.flush()

    def _line(self, text: str) -> None:
        self._stream.write(("\r\x1b[2K" if self._live else "") + text + "\n")
        self._stream.flush()
