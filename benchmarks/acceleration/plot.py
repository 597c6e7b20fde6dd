"""The picture of bars 1 and 2: what every way saves against what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from acceleration.summary import BASE

# Okabe and Ito's colours, which the colour-blind tell apart, by how a way's name begins.
KINDS = (
    ("Leap + Merge", "#cc79a7", "D"),
    ("Leap", "#0072b2", "o"),
    ("EasyCache", "#d55e00", "s"),
    ("Merge", "#009e73", "^"),
)
INK, SOFT = "#24282f", "#5a606b"
# Outside of this a clip is no longer the same video, and the scale would hide what is inside.
MOTION_LIMITS = (70.0, 120.0)
MARKER = 15.0
# Where a name may stand, nearest first: which side of its point, and how many points (1/72 inch) above it.
PLACES = [(side, height) for height in (0, 13, -13, 26, -26, 39, -39) for side in (1, -1)]


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One line of two charts per grid: likeness and motion over the speed-up."""
    grids = list(dict.fromkeys(row["grid"] for row in rows))
    figure, axes = pyplot.subplots(
        len(grids), 2, figsize=(13, 4.6 * len(grids) + 0.6), squeeze=False, layout="constrained"
    )
    figure.suptitle(
        "What an acceleration saves, and what it keeps of the video",
        fontsize=15,
        color=INK,
        x=0.01,
        ha="left",
    )
    for line, grid in zip(axes, grids, strict=True):
        ways = [row for row in rows if row["grid"] == grid and row["way"] != BASE]
        _likeness(line[0], grid, ways)
        _motion(line[1], grid, ways)
    figure.savefig(path, dpi=110, facecolor="white")
    pyplot.close(figure)


def _likeness(axes: Axes, grid: str, ways: list[dict[str, Any]]) -> None:
    shown = [row for row in ways if row["PSNR dB"] is not None]
    _frame(axes, f"Likeness to the full video, {grid} time grid", "PSNR in dB: higher is nearer")
    _points(axes, shown, lambda row: float(row["PSNR dB"]))


def _motion(axes: Axes, grid: str, ways: list[dict[str, Any]]) -> None:
    _frame(axes, f"Motion that is left, {grid} time grid", "motion in % of the full video's")
    axes.axhspan(97, 103, color="#e8f3ec", zorder=0)
    axes.axhline(100, color="#9bb8a6", linewidth=1, zorder=1)
    low, high = MOTION_LIMITS
    _points(axes, ways, lambda row: min(high, max(low, 100 * row["motion ratio"])), outside=_percent)
    axes.text(
        0.99,
        97.15,
        "within 3 %",
        color="#5f8a70",
        fontsize=9,
        transform=axes.get_yaxis_transform(),
        ha="right",
    )


def _percent(row: dict[str, Any]) -> str:
    """What a label adds where the point lies outside of the chart."""
    percent = 100 * row["motion ratio"]
    low, high = MOTION_LIMITS
    return "" if low <= percent <= high else f" ({percent:.0f} %)"


def _frame(axes: Axes, title: str, y_label: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, color=INK)
    axes.set_xlabel("speed-up of sampling (times as fast)", color=SOFT)
    axes.set_ylabel(y_label, color=SOFT)
    axes.grid(color="#eceef1")
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _points(
    axes: Axes,
    ways: list[dict[str, Any]],
    value: Callable[[dict[str, Any]], float],
    outside: Callable[[dict[str, Any]], str] = lambda row: "",
) -> None:
    """Points with their names beside them; names that would cover each other move apart."""
    for row in ways:
        _, colour, marker = _kind(row["way"])
        axes.scatter(row["speed-up"], value(row), s=70, color=colour, marker=marker, zorder=3)
    speeds = [row["speed-up"] for row in ways]
    # Room at the right for the name of the fastest way.
    span = max(speeds) - min(min(speeds), 1.0)
    axes.set_xlim(min(min(speeds), 1.0) - 0.06 * span, max(speeds) + 0.6 * span)
    axes.margins(y=0.12)
    axes.figure.canvas.draw()
    taken = []
    for row in ways:
        x, y = axes.transData.transform((row["speed-up"], value(row)))
        taken.append(Bbox.from_bounds(x - MARKER / 2, y - MARKER / 2, MARKER, MARKER))
    for row in sorted(ways, key=value):
        taken.append(_name(axes, row["way"] + outside(row), row, value(row), taken))


def _name(axes: Axes, text: str, row: dict[str, Any], value: float, taken: list[Bbox]) -> Bbox:
    """Writes a point's name at the nearest place that covers no point and no other name."""
    _, colour, _ = _kind(row["way"])
    for side, height in PLACES:
        label = axes.annotate(
            text,
            (row["speed-up"], value),
            xytext=(11 * side, height),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=9,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkB": 4}
            if abs(height) > 8
            else None,
        )
        # A name beyond the chart's edge must not push the chart aside.
        label.set_in_layout(False)
        label.update_positions(axes.figure.canvas.get_renderer())
        # The words alone: an arrow may cross what a word must not cover.
        box = Text.get_window_extent(label)
        inside = axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1)
        inside = inside and axes.bbox.containsy(box.y0) and axes.bbox.containsy(box.y1)
        if (inside and not any(box.overlaps(other) for other in taken)) or (side, height) == PLACES[-1]:
            break
        label.remove()
    return box


def _kind(way: str) -> tuple[str, str, str]:
    return next(kind for kind in KINDS if way.startswith(kind[0]))
