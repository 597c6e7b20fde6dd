"""From what the workers measured to the table and the bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from report import Bar

RESIDENT = "all weights held"
HALF = "budget of 50 %"
FIFTH = "budget of 20 %"
COLD = "budget of 20 %, cold"
TORCH = "torch eager"
# What a second export may take, and what a changed prompt may send.
SECOND_EXPORT_SECONDS = 2.0
PROMPT_BYTES = 100_000


@dataclass(frozen=True)
class Measured:
    """One way: seconds of every step in every round, peak and budget in bytes, what it reported and made."""

    rounds: list[list[float]]
    peak: int
    budget: int | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    digests: frozenset[str] = frozenset()

    @property
    def seconds(self) -> float:
        """The usual step."""
        return median(value for values in self.rounds for value in values)


def ratio(way: Measured, base: Measured) -> float:
    """How many times as long as `base`: the median over the rounds, so that a slow minute slows both."""
    return median(median(own) / median(other) for own, other in zip(way.rounds, base.rounds, strict=True))


def rows_of(ways: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """One row per way; blocks are counted where the way tells of them."""
    base = ways[RESIDENT]
    return [
        {
            "way": name,
            "s per step": round(way.seconds, 3),
            "times resident": f"{ratio(way, base):.2f}",
            "peak MB": round(way.peak / 1e6),
            "% of resident peak": round(100 * way.peak / base.peak),
            "blocks held": way.report.get("held", ""),
            "streamed": way.report.get("streamed", ""),
            "thread": _yes_no(way.report.get("prefetched")),
            "same bits": "" if name == TORCH else _yes_no(way.digests == base.digests),
        }
        for name, way in ways.items()
    ]


def speed_bars(ways: Mapping[str, Measured]) -> list[Bar]:
    """Bars 1 and 3: time and memory within a budget, and onnxruntime against torch."""
    base = ways[RESIDENT]
    bars = []
    for name, what, goal in (
        (FIFTH, "20 % of the resident peak, warm cache", 1.05),
        (COLD, "20 %, page cache dropped after every block", 1.30),
        (HALF, "50 %, warm cache", 1.02),
    ):
        found = ratio(ways[name], base)
        bars.append(
            Bar(
                f"time per step at {what}, resident = 1", f"{found:.3f}", f"{goal:.2f} or less", found <= goal
            )
        )
    bars.append(_within(ways))
    engine = {name: way for name, way in ways.items() if way.budget is not None}
    same = [name for name, way in engine.items() if way.digests == base.digests]
    bars.append(
        Bar(
            "budgeted ways that give the bits of the resident one",
            f"{len(same)} of {len(engine)}",
            "all",
            len(same) == len(engine),
        )
    )
    found = ratio(base, ways[TORCH])
    bars.append(
        Bar(
            "onnxruntime fp32 on the same threads, torch eager = 1",
            f"{found:.2f}",
            "1.00 or less",
            found <= 1,
        )
    )
    return bars


def _within(ways: Mapping[str, Measured]) -> Bar:
    share = max(way.peak / way.budget for way in ways.values() if way.budget is not None)
    return Bar(
        "highest peak of a budgeted way, as Linux counts it (VmHWM)",
        f"{100 * share:.1f} % of its budget",
        "100 % or less",
        share <= 1,
    )


def export_bars(told: Mapping[str, Any]) -> list[Bar]:
    """Bar 4, from `second_export.measure`."""
    seconds, pushed = told["seconds"][1], told["pushed"][1]
    return [
        Bar(
            "second export of a model, another prompt",
            f"{seconds:.2f} s (the first: {told['seconds'][0]:.0f} s)",
            f"less than {SECOND_EXPORT_SECONDS:.0f} s",
            seconds < SECOND_EXPORT_SECONDS,
        ),
        Bar(
            "sent for a changed prompt",
            f"{pushed / 1e3:.1f} KB (the first: {told['pushed'][0] / 1e6:.1f} MB)",
            f"less than {PROMPT_BYTES // 1000} KB",
            pushed < PROMPT_BYTES,
        ),
    ]


def large_bars(ways: Mapping[str, Measured], limit: int) -> list[Bar]:
    """Bar 2: a step of a network several times as large as its budget."""
    peak = max(way.peak for way in ways.values() if way.budget is not None)
    return [
        Bar(
            "peak of a full step, as Linux counts it (VmHWM)",
            f"{peak / 1e6:.0f} MB",
            f"less than {limit // 10**6} MB",
            peak < limit,
        ),
        _within(ways),
    ]


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"
