"""A progress line in the terminal, on stderr: a bar where someone watches, plain lines where a log does."""

from __future__ import annotations

import shutil
import sys
import threading
from typing import TextIO

BAR = 24


class ProgressLine:
    """Shows one stage at a time; may be called from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._stage = ""
        self._shown = False
        self._lock = threading.Lock()

    def show(self, stage: str, fraction: float | None, message: str) -> None:
        """Show progress within `stage`; `fraction` None means that its end is not known."""
        with self._lock:
            if self._live:
                share = 0.0 if fraction is None else fraction
                filled = round(BAR * share)
                percent = "    " if fraction is None else f"{100 * share:3.0f}%"
                line = f"{stage:9} [{'#' * filled}{'.' * (BAR - filled)}] {percent} {message}"
                width = shutil.get_terminal_size().columns - 1
                self._stream.write("\r" + line[:width].ljust(width))
                self._shown = True
            elif stage != self._stage:
                self._stream.write(f"{stage}: {message}\n")
            self._stage = stage
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write one line, below the bar if there is one."""
        with self._lock:
            self._stream.write(("\n" if self._shown else "") + text + "\n")
            self._stream.flush()
            self._shown = False
            self._stage = ""
