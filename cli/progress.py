"""Progress in a terminal: one line that is drawn over, or plain lines where nobody watches."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

WIDTH = 24
PAUSE_SECONDS = 0.1


class ProgressLine:
    """Draws a bar with words on stderr. In a file or a pipe each state is one line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = ""
        self._drawn = 0.0
        self._open = False

    def show(self, state: str, fraction: float | None, words: str) -> None:
        """Show a state, how far it is (0 to 1, None: unknown) and a few words."""
        if not self._live:
            if state != self._last:
                self._stream.write(f"{state}: {_plain(words)}\n")
                self._stream.flush()
            self._last = state
            return
        now = time.monotonic()
        if state == self._last and fraction != 1.0 and now - self._drawn < PAUSE_SECONDS:
            return
        self._last, self._drawn = state, now
        filled = round(WIDTH * min(1.0, max(0.0, fraction or 0.0)))
        bar = "#" * filled + "." * (WIDTH - filled)
        text = f"[{bar}] {state:<12} {_plain(words)}"
        width = max(20, shutil.get_terminal_size().columns - 1)
        self._stream.write("\r" + text[:width].ljust(width))
        self._stream.flush()
        self._open = True

    def end(self) -> None:
        """Leave the line, so that the next output has one of its own."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = False


def _plain(words: str) -> str:
    """Words of a device on one line, without characters that move the cursor (T14)."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())
