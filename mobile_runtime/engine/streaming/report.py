"""What became of a component's weights while it ran."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class WeightReport:
    """How a component's weights came to its stages.

    Args:
        budget_bytes: what the process may take, or None without a budget.
        held: weight files that stay mapped; the other `streamed` ones come and go with every pass.
        held_bytes: their size, as `streamed_bytes` is that of the others.
        prefetched: a thread fetched the next file while a stage ran, in the last pass.
        passes: how often the whole network ran; several evaluations side by side are one pass.
        load_seconds: what fetching every streamed file from the system takes by itself, as last measured.
        run_seconds: what the stages took in the last pass.
        waited_seconds: what the stages waited for files in all passes.
        peak_rss_bytes: the process's peak so far, or None where the system is silent.
    """

    budget_bytes: int | None
    held: int
    streamed: int
    held_bytes: int
    streamed_bytes: int
    prefetched: bool
    passes: int
    load_seconds: float
    run_seconds: float
    waited_seconds: float
    peak_rss_bytes: int | None

    def after(self, earlier: WeightReport) -> WeightReport:
        """This report of a component that had been closed and opened again, with what it did before."""
        return replace(
            self,
            passes=earlier.passes + self.passes,
            waited_seconds=earlier.waited_seconds + self.waited_seconds,
            peak_rss_bytes=max(filter(None, (earlier.peak_rss_bytes, self.peak_rss_bytes)), default=None),
        )
