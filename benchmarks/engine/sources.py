"""Ways to keep weights that the engine does not use, to be measured beside the one that it does."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, Layout, read_layout
from comfyui_pocketvideo.mobile_runtime.engine.memory import PeakMeter
from comfyui_pocketvideo.mobile_runtime.engine.streaming import WeightReport
from comfyui_pocketvideo.mobile_runtime.engine.streaming.budgeted import BudgetedWeights


def drop_from_cache(path: Path) -> None:
    """Ask the system to forget the pages of a file; those that a process maps stay."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


class ColdWeights(BudgetedWeights):
    """The engine's source on a device whose page cache keeps nothing: a block's pages go when it has run."""

    def __init__(self, bundle: Bundle, component: str, budget: int, prefetch: bool | None = None) -> None:
        super().__init__(bundle, component, budget, prefetch)
        self._files = bundle
        for stage in bundle.manifest["components"][component]["stages"]:
            drop_from_cache(bundle.path(stage["weights"]))

    def release(self, path: str, seconds: float) -> None:
        """Forget the file after its stage."""
        super().release(path, seconds)
        drop_from_cache(self._files.path(path))


class BufferedWeights:
    """Two buffers of the largest file's size that are read into in turn, by a thread or when needed."""

    def __init__(self, bundle: Bundle, component: str, prefetch: bool) -> None:
        stages = bundle.manifest["components"][component]["stages"]
        self._layouts = {stage["weights"]: read_layout(bundle.path(stage["weights"])) for stage in stages}
        largest = max(layout.size for layout in self._layouts.values())
        self._free = [np.empty(largest, np.uint8) for _ in range(2 if prefetch else 1)]
        self._pool = ThreadPoolExecutor(1) if prefetch else None
        self._ahead: dict[str, Future[np.ndarray]] = {}
        self._used: np.ndarray | None = None
        self._order: list[str] = []
        self._meter = PeakMeter()
        self._passes = 0

    def begin(self, order: Sequence[str], key: Hashable) -> None:
        self._order = list(order)

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        layout = self._layouts[path]
        if path in self._ahead:
            buffer = self._ahead.pop(path).result()
        else:
            buffer = fill(self._free.pop(), layout)
        if self._pool is not None:
            after = self._order[(self._order.index(path) + 1) % len(self._order)]
            self._ahead[after] = self._pool.submit(fill, self._free.pop(), self._layouts[after])
        self._used = buffer
        return layout.views(buffer)

    def release(self, path: str, seconds: float) -> None:
        assert self._used is not None
        self._free.append(self._used)
        self._used = None

    def end(self) -> None:
        self._passes += 1

    def report(self) -> WeightReport:
        sizes = sum(layout.size for layout in self._layouts.values())
        return WeightReport(
            budget_bytes=None,
            held=0,
            streamed=len(self._layouts),
            held_bytes=0,
            streamed_bytes=sizes,
            prefetched=self._pool is not None,
            passes=self._passes,
            load_seconds=0.0,
            run_seconds=0.0,
            waited_seconds=0.0,
            peak_rss_bytes=self._meter.highest(),
        )

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def fill(buffer: np.ndarray, layout: Layout) -> np.ndarray:
    """Read a file into a buffer."""
    with layout.path.open("rb", buffering=0) as file:
        view = memoryview(buffer)[: layout.size]
        while view:
            got = file.readinto(view)
            if not got:
                raise OSError(f"{layout.path.name} is shorter than it was.")
            view = view[got:]
    return buffer
