"""Weights within a memory budget: hold what fits, stream the rest through one mapped file at a time.

The first two passes of a shape stream everything and measure: each file's load, each stage's run, and the
process's peak. Then files are held while the peak leaves room for them, and a reader thread is used where it
pays. A file is mapped when its stage begins and unmapped when it ends, so one streamed file counts at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from ...bundle import Bundle, Layout, WeightsError, read_layout
from ..errors import EngineError
from ..memory import PeakMeter, megabytes, rss_bytes
from .choice import Load, hold, pays
from .reader import Reader, read, stored_bytes_of_process
from .report import WeightReport
from .weights import check_length

log = logging.getLogger(__name__)

# Room for what Python itself allocates between two passes, and for the kernel's own rounding of the count.
SPARE_SHARE = 0.02
SPARE_LEAST = 4 * 2**20
# What onnxruntime's code and sessions take besides weights and activations, for the estimate in a refusal.
RUNTIME = 32 * 2**20
# A pass that gets this share of its streamed bytes from storage is one that waits for storage.
COLD_SHARE = 0.1


class BudgetedWeights:
    """A WeightSource that keeps the whole process within `budget` bytes of resident memory."""

    def __init__(self, bundle: Bundle, component: str, budget: int, prefetch: bool | None = None) -> None:
        """Nothing is opened yet.

        `prefetch` True or False uses the reader thread always or never; None decides by measurement. Raises
        EngineError where the system does not say how much memory a process takes.
        """
        self._bundle, self._component, self._budget = bundle, component, budget
        self._forced = prefetch
        self._meter = PeakMeter()
        if rss_bytes() is None:
            raise EngineError(
                "This system does not say how much memory a process takes; run without a memory budget."
            )
        self._reader = Reader()
        self._layouts: dict[str, Layout] = {}
        self._kept: dict[str, Mapping[str, np.ndarray]] = {}
        self._hold: frozenset[str] = frozenset()
        self._order: list[str] = []
        self._key: Hashable = None
        self._next_key: Hashable = None
        self._estimate = 0
        self._measuring = True
        self._settling = True
        self._prefetch = bool(prefetch)
        self._loads: dict[str, Load] = {}
        self._runs: dict[str, float] = {}
        self._stored: int | None = None
        self._passes = 0
        self._waited = 0.0

    def begin(self, order: Sequence[str], key: Hashable) -> None:
        """Plan a pass; one of a new key drops what is held and measures.

        Raises EngineError when the largest file alone would not fit.
        """
        files = list(dict.fromkeys(order))
        for path in files:
            self._layout(path)
        self._order = files
        if key != self._key:
            self._key, self._measuring, self._settling = None, True, True
            self._hold = frozenset()
            self._kept.clear()
            self._loads.clear()
            self._runs.clear()
            self._meter.restart()
            resident, largest = rss_bytes() or 0, self._largest()
            # An arena grows by doubling.
            activations = 2 * self._bundle.manifest["memory"]["activations_estimate"]
            self._estimate = resident + largest + activations + RUNTIME
            if resident + largest > self._budget:
                raise self._too_small(self._estimate)
        self._next_key = key
        self._stored = stored_bytes_of_process()

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        """Map a file, or give the map that is held. Raises EngineError for a file that cannot be read."""
        layout = self._layout(path)
        started = time.perf_counter()
        try:
            if path in self._kept:
                check_length(layout)
                return self._kept[path]
            if self._measuring:
                self._loads[path] = read(layout.path, layout.size)
            elif self._prefetch:
                self._finish_and_go_on(path)
            views = layout.map()
        except (OSError, WeightsError) as error:
            cause = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            raise EngineError(
                f"The weights {path} of the component {self._component!r} cannot be read ({cause}); send the"
                " bundle to this device again."
            ) from error
        finally:
            self._waited += time.perf_counter() - started
        if path in self._hold:
            self._kept[path] = views
        return views

    def release(self, path: str, seconds: float) -> None:
        """Note how long the stage ran, and that the process stayed within its budget.

        Raises EngineError when it did not although nothing is held.
        """
        self._runs[path] = seconds
        peak = self._meter.now()
        if peak <= self._budget:
            return
        if not self._kept:
            grown = peak - self._layout(path).size + self._largest()
            raise self._too_small(max(peak, grown, self._estimate))
        self._shed(peak - self._budget)

    def end(self) -> None:
        """Decide for the next pass what to hold and whether to prefetch."""
        self._passes += 1
        self._key = self._next_key
        if self._measuring:
            # The second pass takes more memory than the first, when the arena has not found its sizes yet.
            self._measuring = False
        elif self._settling:
            self._settling = False
            sizes = [self._layout(path).size for path in self._order]
            spare = max(SPARE_LEAST, int(self._budget * SPARE_SHARE))
            chosen = hold(sizes, self._budget - self._meter.now() - spare)
            self._hold = frozenset(self._order[index] for index in chosen)
            log.info("%s: holding %d of %d files", self._component, len(chosen), len(sizes))
        if self._forced is None:
            self._prefetch = self._should_prefetch()

    def report(self) -> WeightReport:
        """What is held, streamed and measured so far."""
        streamed = [path for path in self._order if path not in self._hold]
        return WeightReport(
            budget_bytes=self._budget,
            held=len(self._order) - len(streamed),
            streamed=len(streamed),
            held_bytes=sum(self._layout(path).size for path in self._order if path in self._hold),
            streamed_bytes=sum(self._layout(path).size for path in streamed),
            prefetched=self._prefetch,
            passes=self._passes,
            load_seconds=sum(self._loads[path].seconds for path in streamed if path in self._loads),
            run_seconds=sum(self._runs.values()),
            waited_seconds=self._waited,
            peak_rss_bytes=self._meter.highest(),
        )

    def close(self) -> None:
        """End the reader thread and drop the maps; the next pass measures anew."""
        self._reader.close()
        self._kept.clear()
        self._key = None

    def _should_prefetch(self) -> bool:
        streamed = [path for path in self._order if path not in self._hold]
        if not self._prefetch and self._passes > 1:
            # Without the reader a load hides in the stage's run, but not the bytes that storage gave.
            before, now = self._stored, stored_bytes_of_process()
            size = sum(self._layout(path).size for path in streamed)
            if before is not None and now is not None:
                return bool(streamed) and now - before > COLD_SHARE * size
        return pays(
            [self._loads[path] for path in streamed if path in self._loads], list(self._runs.values())
        )

    def _finish_and_go_on(self, path: str) -> None:
        """Wait for the reader to have read this file, and set it to the next one."""
        load = self._reader.finish(self._layout(path).path)
        if load is not None:
            self._loads[path] = load
        if (after := self._streamed_after(path)) is not None:
            self._reader.start(self._layout(after).path, self._layout(after).size)

    def _streamed_after(self, path: str) -> str | None:
        """The next file that is not held, from the next pass where this one has no more."""
        start = self._order.index(path) + 1
        for after in self._order[start:] + self._order[:start]:
            if after not in self._hold:
                return after if after != path else None
        return None

    def _shed(self, excess: int) -> None:
        """Give up held files until `excess` bytes are free: something has grown since the measurement."""
        for path in list(self._kept):
            if excess <= 0:
                break
            excess -= self._layout(path).size
            self._hold -= {path}
            del self._kept[path]
            log.info("%s: no longer holding %s", self._component, path)
        self._meter.restart()

    def _layout(self, path: str) -> Layout:
        if path not in self._layouts:
            self._layouts[path] = read_layout(self._bundle.path(path))
        return self._layouts[path]

    def _largest(self) -> int:
        return max(self._layout(path).size for path in self._order)

    def _too_small(self, needed: int) -> EngineError:
        enough = int(needed * 1.05) + SPARE_LEAST
        return EngineError(
            f"The memory budget of {self._budget // 10**6} MB cannot hold one block of the component"
            f" {self._component!r} and its activations; give at least {megabytes(enough)} or make a smaller"
            " video."
        )
