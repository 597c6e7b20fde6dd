"""Line charts drawn with Pillow alone: ComfyUI brings no matplotlib.

Drawn at twice the size and halved at the end, which makes the lines smooth. A chart is a stack of panels
that share a width; every panel has a title, axes with round numbers, lines, marks and a legend.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

INK, SOFT, FAINT, GRID, PAPER = (
    (40, 42, 48),
    (96, 102, 112),
    (150, 155, 164),
    (226, 229, 234),
    (250, 250, 252),
)
BAND = (234, 240, 233)
# Okabe and Ito's colours, which the colour-blind tell apart.
BLUE, ORANGE, GREEN, PURPLE = (0, 114, 178), (213, 94, 0), (0, 140, 105), (190, 90, 150)
Colour = tuple[int, int, int]
_SCALE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 24, 58, 50


@dataclass(frozen=True)
class Line:
    """One line: `points` (x, y) in order; a y that is nan breaks it."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: Colour = BLUE
    dashed: bool = False
    markers: bool = True


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `note` stands below the title, `empty` where there is nothing to draw."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    note: str = ""
    empty: str = ""
    # What the vertical axis must at least hold.
    y_range: tuple[float, float] | None = None
    # What the horizontal axis must at least hold.
    x_range: tuple[float, float] | None = None
    # Upright lines, (x, label), and shaded stretches, (from x, to x, label); labels stand at the floor.
    marks: Sequence[tuple[float, str]] = ()
    bands: Sequence[tuple[float, float, str]] = ()


def draw_chart(panels: Sequence[Panel], width: int = 960, panel_height: int = 250) -> Image.Image:
    """The panels one below the other as an RGB picture."""
    picture = Image.new("RGB", (width * _SCALE, panel_height * len(panels) * _SCALE), PAPER)
    for place, panel in enumerate(panels):
        _Axes(picture, panel, place * panel_height, width, panel_height).draw()
    return picture.resize((width, panel_height * len(panels)), Image.Resampling.LANCZOS)


def round_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About `wanted` round numbers (1, 2 or 5 times a power of ten) that enclose low to high."""
    span = high - low or abs(high) or 1.0
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if raw <= power * factor * 1.0001)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is there on every machine."""
    return ImageFont.load_default(size)


class _Axes:
    """Draws one panel; everything is in unscaled pixels until it reaches the picture."""

    def __init__(self, picture: Image.Image, panel: Panel, top: int, width: int, height: int) -> None:
        self._draw = ImageDraw.Draw(picture)
        self._picture = picture
        self._panel = panel
        self._top = top
        self._left, self._right = _LEFT, width - _RIGHT
        self._ceiling, self._floor = top + _TOP, top + height - _BOTTOM
        points = [point for line in panel.lines for point in line.points]
        ys = [y for _, y in points if math.isfinite(y)]
        self._drawable = any(not math.isnan(y) for _, y in points)
        xs = [*(x for x, _ in points), *(panel.x_range or ())] or [0.0, 1.0]
        # One point alone stands in the middle.
        margin = 0.0 if max(xs) > min(xs) else 0.5
        self._x_low, self._x_high = min(xs) - margin, max(xs) + margin
        if panel.y_range is not None:
            ys += panel.y_range
        ys = ys or [0.0, 1.0]
        self._y_ticks = round_ticks(min(ys), max(ys))

    def draw(self) -> None:
        self._text(self._left, self._top + 8, self._panel.title, 17, INK)
        if self._panel.note:
            self._text(self._left, self._top + 31, self._panel.note, 13, SOFT)
        if not self._drawable:
            middle = (self._ceiling + self._floor) / 2
            self._text((self._left + self._right) / 2, middle, self._panel.empty, 15, SOFT, anchor="mm")
            return
        for start, end, label in self._panel.bands:
            self._band(self._x(start), self._x(end), label)
        self._grid()
        for row, (place, label) in enumerate(self._panel.marks):
            self._mark(self._x(place), label, row)
        for line in self._panel.lines:
            self._line(line)
        if len(self._panel.lines) > 1:
            self._legend()

    def _grid(self) -> None:
        decimals = max(0, -math.floor(math.log10(self._y_ticks[1] - self._y_ticks[0]) + 1e-9))
        for tick in self._y_ticks:
            y = self._y(tick)
            self._stroke([(self._left, y), (self._right, y)], GRID, 1)
            self._text(self._left - 9, y, f"{tick:.{decimals}f}", 13, SOFT, anchor="rm")
        for tick in round_ticks(self._x_low, self._x_high, 10):
            if self._x_low <= tick <= self._x_high and tick == round(tick):
                x = self._x(tick)
                self._stroke([(x, self._floor), (x, self._floor + 4)], FAINT, 1)
                self._text(x, self._floor + 7, f"{tick:.0f}", 13, SOFT, anchor="ma")
        self._stroke([(self._left, self._floor), (self._right, self._floor)], FAINT, 1)
        middle = (self._left + self._right) / 2
        self._text(middle, self._floor + 27, self._panel.x_label, 13, SOFT, anchor="ma")
        self._upright(self._panel.y_label)

    def _band(self, left: float, right: float, label: str) -> None:
        scaled = [value * _SCALE for value in (left, self._ceiling, right, self._floor)]
        self._draw.rectangle(scaled, fill=BAND)
        self._text((left + right) / 2, self._floor - 12, label, 13, SOFT, anchor="ms")

    def _mark(self, x: float, label: str, row: int) -> None:
        """An upright line; each label has a row of its own, because lines may stand close together."""
        self._dashes((x, self._ceiling), (x, self._floor), INK, 1.4)
        y = self._floor - 12 - 19 * row
        width = self._draw.textlength(label, font=font(13 * _SCALE)) / _SCALE
        # To the left, unless that runs out of the axes.
        left = x - 8 - width >= self._left
        start = x - 8 - width if left else x + 8
        box = (start - 2, y - 13, start + width + 2, y + 4)
        # Paper of its own, so that the line of a neighbour does not strike it through.
        self._draw.rectangle([value * _SCALE for value in box], fill=PAPER)
        self._text(x - 8 if left else x + 8, y, label, 13, INK, anchor="rs" if left else "ls")

    def _line(self, line: Line) -> None:
        run: list[tuple[float, float]] = []
        for x, y in [*line.points, (0.0, math.nan)]:
            if not math.isnan(y):
                run.append((self._x(x), self._y(y)))
                continue
            if line.dashed:
                for start, end in itertools.pairwise(run):
                    self._dashes(start, end, line.colour, 2.2)
            elif len(run) > 1:
                self._stroke(run, line.colour, 2.2)
            if line.markers and len(line.points) <= 60:
                for point in run:
                    self._dot(point, line.colour)
            elif len(run) == 1:
                self._dot(run[0], line.colour)
            run = []

    def _legend(self) -> None:
        right = float(self._right)
        for line in reversed(self._panel.lines):
            right -= self._draw.textlength(line.label, font=font(13 * _SCALE)) / _SCALE
            y = self._top + 18
            self._text(right, y, line.label, 13, INK, anchor="lm")
            if line.dashed:
                self._dashes((right - 30, y), (right - 7, y), line.colour, 2.2)
            else:
                self._stroke([(right - 30, y), (right - 7, y)], line.colour, 2.2)
            if line.markers:
                self._dot((right - 18.5, y), line.colour)
            right -= 52

    def _x(self, value: float) -> float:
        share = (value - self._x_low) / (self._x_high - self._x_low)
        return self._left + 12 + share * (self._right - self._left - 24)

    def _y(self, value: float) -> float:
        low, high = self._y_ticks[0], self._y_ticks[-1]
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self._floor - share * (self._floor - self._ceiling)

    def _stroke(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=max(1, round(width * _SCALE)), joint="curve")

    def _dashes(
        self, start: tuple[float, float], end: tuple[float, float], colour: Colour, width: float
    ) -> None:
        length = math.dist(start, end)
        count = max(1, round(length / 10))
        for place in range(count):
            ends = [
                (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
                for share in (place / count, (place + 0.6) / count)
            ]
            self._stroke(ends, colour, width)

    def _dot(self, point: tuple[float, float], colour: Colour) -> None:
        x, y = point[0] * _SCALE, point[1] * _SCALE
        radius = 3.4 * _SCALE
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=PAPER)

    def _text(self, x: float, y: float, words: str, size: float, colour: Colour, anchor: str = "la") -> None:
        place = (x * _SCALE, y * _SCALE)
        self._draw.text(place, words, fill=colour, font=font(size * _SCALE), anchor=anchor)

    def _upright(self, words: str) -> None:
        """The vertical axis' name, turned, left of its numbers."""
        box = self._draw.textbbox((0, 0), words, font=font(13 * _SCALE), anchor="lt")
        label = Image.new("RGB", (int(box[2]) + 2, int(box[3]) + 2), PAPER)
        ImageDraw.Draw(label).text((0, 0), words, fill=SOFT, font=font(13 * _SCALE), anchor="lt")
        turned = label.rotate(90, expand=True)
        middle = (self._ceiling + self._floor) / 2 * _SCALE
        self._picture.paste(turned, (8 * _SCALE, round(middle - turned.height / 2)))
