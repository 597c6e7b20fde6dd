"""Where a stage's weights come from: the seam between running a network and keeping its weights.

`MappedWeights` maps every file and keeps it; `BudgetedWeights` (budgeted.py) keeps within a budget.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ...bundle import Bundle, Layout, WeightsError, read_layout
from ..memory import PeakMeter
from .report import WeightReport


class WeightSource(Protocol):
    """Gives each stage its weights, in the order in which stages run."""

    def begin(self, order: Sequence[str], key: Hashable) -> None:
        """A pass begins that takes these files in this order; passes of one key need the same memory."""

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        """The tensors of a weight file; the caller drops them before the next `take`."""

    def release(self, path: str, seconds: float) -> None:
        """The stage has run for these seconds; its weights may go. Not called for a stage that failed."""

    def end(self) -> None:
        """The pass is over. Not called for one that failed."""

    def report(self) -> WeightReport:
        """What has become of the weights so far."""

    def close(self) -> None:
        """Let go of every file and thread; a later pass would open them again."""


class MappedWeights:
    """Weights as views over memory maps, kept for the component's life; the page cache holds them."""

    def __init__(self, bundle: Bundle) -> None:
        """Files are mapped when first taken."""
        self._bundle = bundle
        self._layouts: dict[str, Layout] = {}
        self._mapped: dict[str, Mapping[str, np.ndarray]] = {}
        self._meter = PeakMeter()
        self._passes = 0
        self._running = self._run_seconds = 0.0

    def begin(self, order: Sequence[str], key: Hashable) -> None:
        """Nothing to plan."""
        self._running = 0.0

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        """Map the file once. Raises WeightsError for one that is not well formed or has been cut short."""
        if path not in self._mapped:
            self._layouts[path] = read_layout(self._bundle.path(path))
            self._mapped[path] = self._layouts[path].map()
        check_length(self._layouts[path])
        return self._mapped[path]

    def release(self, path: str, seconds: float) -> None:
        """Nothing to do: pages that memory pressure wants are dropped by the system."""
        self._running += seconds

    def end(self) -> None:
        """Count the pass."""
        self._passes += 1
        self._run_seconds = self._running

    def report(self) -> WeightReport:
        """Everything is held."""
        held = sum(layout.size for layout in self._layouts.values())
        return WeightReport(
            budget_bytes=None,
            held=len(self._layouts),
            streamed=0,
            held_bytes=held,
            streamed_bytes=0,
            prefetched=False,
            passes=self._passes,
            load_seconds=0.0,
            run_seconds=self._run_seconds,
            waited_seconds=0.0,
            peak_rss_bytes=self._meter.highest(),
        )

    def close(self) -> None:
        """Drop the maps."""
        self._mapped.clear()


def check_length(layout: Layout) -> None:
    """Raise WeightsError for a mapped file that is gone or was cut: touching lost pages ends the process."""
    try:
        size = os.stat(layout.path).st_size
    except OSError as error:
        raise WeightsError(
            f"{layout.path.name} cannot be read any more ({error.strerror}); fetch the bundle again."
        ) from None
    if size != layout.size:
        raise WeightsError(
            f"{layout.path.name} has {size} bytes now and had {layout.size}; fetch the bundle again."
        )
