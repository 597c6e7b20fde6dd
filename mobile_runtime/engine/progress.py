"""How a run reports to its caller and how the caller stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import Cancelled


@dataclass(frozen=True)
class ProgressEvent:
    """One sign of life: op `op` of kind `kind` has done `step` of `total`.

    `preview` is a small RGB picture `[H, W, 3]` uint8 of the middle frame as the network now sees it, or
    None.
    """

    op: str
    kind: str
    step: int
    total: int
    preview: np.ndarray | None = None

    @property
    def fraction(self) -> float:
        """Done part of this op, 0 to 1."""
        return self.step / self.total if self.total else 1.0


Progress = Callable[[ProgressEvent], None]


class Watch:
    """The caller's ears and hands in one run: a progress callback and a flag that asks it to stop."""

    def __init__(self, progress: Progress | None, cancel: threading.Event | None) -> None:
        """Either may be None."""
        self._progress = progress
        self._cancel = cancel

    def check(self) -> None:
        """Raise Cancelled when the caller asked for it. Called between graphs, so within one evaluation."""
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled(
                "The run was cancelled before the video was finished; start it again when you like."
            )

    def report(self, op: str, kind: str, step: int, total: int, preview: np.ndarray | None = None) -> None:
        """Tell the caller, then see whether it wants to stop."""
        if self._progress is not None:
            self._progress(ProgressEvent(op, kind, step, total, preview))
        self.check()
