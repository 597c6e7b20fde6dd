"""A run with a leap as a picture: how straight the path was at each step, and where it leapt."""

from __future__ import annotations

import math

from PIL import Image

from ..acceleration.leap_record import LeapRecord
from .chart import BLUE, GREEN, ORANGE, PURPLE, Line, Panel, draw_chart

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
_HEIGHT = 380
# More lines than this cannot be told apart; the JSON has them all.
MAX_LINES = 4


def leap_plot(record: LeapRecord, name: str = "", width: int = 960) -> Image.Image:
    """The similarity of consecutive drifts over the steps, one line per video of the batch (4 at most).

    `name` says which run it is. A run that measured nothing gives its sentence in empty axes.
    """
    lines = [
        Line(_label(record, item), list(zip(record.measured, row, strict=False)), _COLOURS[item])
        for item, row in enumerate(record.similarities[:MAX_LINES])
        if row
    ]
    title = "How straight the path was, step by step" + (f" ({name})" if name else "")
    return draw_chart(
        [
            Panel(
                title=title,
                x_label=f"step of the sampler, counted from 0 ({record.total} in all)",
                y_label="similarity to the step before",
                lines=lines,
                note=record.sentence(),
                empty="No step was measured.",
                y_range=(1.0, 1.0),
                x_range=(0, max(1, record.total - 1)),
                marks=_marks(record),
                bands=_bands(record),
            )
        ],
        width,
        _HEIGHT,
    )


def message_plot(message: str, width: int = 960) -> Image.Image:
    """A picture of one sentence, where there is no run to show."""
    return draw_chart([Panel("Leap Report", "", "", [], empty=message)], width, _HEIGHT // 2)


def _label(record: LeapRecord, item: int) -> str:
    if len(record.similarities) == 1:
        return "similarity"
    hidden = len(record.similarities) - MAX_LINES
    more = f" (and {hidden} more)" if hidden > 0 and item == MAX_LINES - 1 else ""
    return f"video {item + 1}{more}"


def _marks(record: LeapRecord) -> list[tuple[float, str]]:
    marks: list[tuple[float, str]] = []
    steps = sorted({step for step in record.leap_steps if step is not None})
    earliest = math.ceil(record.config.minimum * record.total - 1e-9)
    if record.config.mode == "adaptive" and earliest < min([*steps, record.total]):
        marks.append((earliest, "earliest leap"))
    return marks + [(step, f"leap at {step}") for step in steps[:MAX_LINES]]


def _bands(record: LeapRecord) -> list[tuple[float, float, str]]:
    if not record.left_early or not record.evaluations_saved:
        return []
    last = max(step for step in record.leap_steps if step is not None)
    return [(last, record.total - 1, f"{record.evaluations_saved} evaluations saved")]
