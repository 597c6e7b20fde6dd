"""The picture of bars 1 and 2: for each way, the time of a step and the peak of memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from engine.summary import RESIDENT

INK, SOFT = "#24282f", "#5a606b"
ENGINE, OTHER, BUDGET = "#0072b2", "#b8bcc4", "#d55e00"


def draw(rows: list[dict[str, Any]], budgets: Mapping[str, int], path: Path) -> None:
    """Two charts side by side with one line per way; a mark where its budget ends."""
    figure, (times, peaks) = pyplot.subplots(
        1, 2, figsize=(13, 0.45 * len(rows) + 1.8), sharey=True, layout="constrained"
    )
    figure.suptitle("A step within a memory budget", fontsize=15, color=INK, x=0.01, ha="left")
    names = [row["way"] for row in rows]
    colours = [ENGINE if name in budgets or name == RESIDENT else OTHER for name in names]
    base = next(row for row in rows if row["way"] == RESIDENT)
    limits = [budgets.get(name, 0) / 1e6 for name in names]
    seconds, megabytes = [row["s per step"] for row in rows], [row["peak MB"] for row in rows]
    _bars(times, "seconds per step", names, seconds, colours)
    _label(times, seconds, seconds, "{:.2f}")
    times.axvline(base["s per step"], color=SOFT, linewidth=1, linestyle=":")
    _bars(peaks, "peak of resident memory in MB", names, megabytes, colours)
    # Behind the mark of its budget, which would cross the figure.
    _label(peaks, megabytes, list(map(max, megabytes, limits)), "{:.0f}")
    for line, limit in enumerate(limits):
        if limit:
            peaks.plot([limit, limit], [line - 0.4, line + 0.4], color=BUDGET, linewidth=2.5)
    times.invert_yaxis()  # both charts share it
    peaks.plot([], [], color=BUDGET, linewidth=2.5, label="budget")
    peaks.legend(frameon=False, loc="center right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor="white")
    pyplot.close(figure)


def _label(axes: Axes, values: list[float], places: list[float], form: str) -> None:
    for line, (value, place) in enumerate(zip(values, places, strict=True)):
        axes.annotate(
            form.format(value),
            (place, line),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=SOFT,
            fontsize=9,
        )


def _bars(axes: Axes, title: str, names: list[str], values: list[float], colours: list[str]) -> None:
    axes.barh(range(len(names)), values, color=colours, height=0.66)
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_title(title, loc="left", fontsize=12, color=INK)
    axes.margins(x=0.12)
    axes.tick_params(colors=SOFT, axis="x")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
