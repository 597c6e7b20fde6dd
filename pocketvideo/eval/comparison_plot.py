"""A comparison as pictures: a contact sheet with a row of differences, and the measures over the frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from .chart import BLUE, FAINT, ORANGE, PAPER, PURPLE, Line, Panel, draw_chart
from .comparison import Comparison, colours
from .sheet import Row, draw_rows, spaced_moments

MAX_COLUMNS = 12
_SHEET_WIDTH, _MAX_CELL_WIDTH, _MAX_CELL_HEIGHT = 1200, 300, 300
_PLOT_WIDTH = 720
# The difference is multiplied by the largest of these that leaves all but the strongest 0.5% within range.
_FACTORS = (1, 2, 4, 8, 16, 32, 64)
_WITHIN_RANGE = 0.995


@dataclass(frozen=True)
class Names:
    """What the two clips are called in the pictures."""

    base: str = "Base"
    accelerated: str = "Accelerated"


def comparison_sheet(
    base: Tensor, accelerated: Tensor, measured: Comparison, names: Names, columns: int = 6
) -> Image.Image:
    """Frames of base and accelerated `[T, H, W, C]` above each other, and how they differ.

    At most `columns` evenly spaced frames are shown; one frame alone is laid out in a single row. The
    difference is |base - accelerated| per channel times the factor that its caption names.
    """
    moments = spaced_moments(len(base), min(columns, MAX_COLUMNS))
    size = _cell_size(len(moments) if len(moments) > 1 else 3, measured.width, measured.height)
    shown = [colours(clip[moments]).float().cpu().nan_to_num() for clip in (base, accelerated)]
    difference = _scaled((shown[0] - shown[1]).abs(), size)
    factor = amplification(difference)
    strips = [_pictures(_scaled(clip, size)) for clip in shown] + [_pictures(difference * factor)]
    captions = [names.base, names.accelerated, _difference_caption(measured, factor)]
    heading = (f"{names.accelerated} against {names.base}", measured.summary())
    if len(moments) == 1:
        return draw_rows([Row("", [strip[0] for strip in strips], captions)], *heading)
    rows = [Row(caption, strip) for caption, strip in zip(captions, strips, strict=True)]
    notes = [f"frame {moment}: {_decibels(measured.psnr_frames[moment])}" for moment in moments]
    if size[0] < 120:
        notes = [f"{moment}" for moment in moments]
    return draw_rows([*rows[:2], Row(captions[2], strips[2], notes)], *heading)


def comparison_plot(measured: Comparison, names: Names, width: int = 960) -> Image.Image:
    """PSNR of every frame, and the motion of both clips from frame to frame."""
    return draw_chart([_psnr_panel(measured, names), _motion_panel(measured, names)], max(width, _PLOT_WIDTH))


def stacked(pictures: list[Image.Image]) -> Image.Image:
    """Pictures below each other on one sheet of paper."""
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), PAPER)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def amplification(difference: Tensor) -> int:
    """How often a difference (0..1, any shape) may be doubled and still be seen rather than clipped."""
    values = difference.flatten().float()
    bound = float(values.kthvalue(max(1, math.ceil(_WITHIN_RANGE * len(values)))).values)
    return max(factor for factor in _FACTORS if factor == 1 or bound * factor <= 1)


def _psnr_panel(measured: Comparison, names: Names) -> Panel:
    """Equal frames have no finite PSNR: the line breaks there, and the note counts them."""
    finite = [value for value in measured.psnr_frames if math.isfinite(value)]
    equal = sum(value == math.inf for value in measured.psnr_frames)
    points = [
        (float(frame), value if math.isfinite(value) else math.nan)
        for frame, value in enumerate(measured.psnr_frames)
    ]
    note = f"How far {names.accelerated} is from {names.base}: higher is closer, 40 dB is hard to see."
    if equal and finite:
        note += f" Left out: {equal} equal frame{'s' if equal > 1 else ''}."
    lines = [Line("each frame", points, PURPLE)]
    if finite and measured.frames > 1:
        ends = [(0.0, measured.psnr), (measured.frames - 1.0, measured.psnr)]
        lines.insert(0, Line(f"whole clip, {measured.psnr:.1f} dB", ends, FAINT, dashed=True, markers=False))
    return Panel(
        "Likeness of each frame (PSNR)",
        "frame",
        "dB",
        lines,
        note,
        empty="All frames are equal." if measured.equal else "There is no number: pixels are nan.",
        # A narrow range would make noise look like an event.
        y_range=(min(finite) - 2, max(finite) + 2) if finite else None,
    )


def _motion_panel(measured: Comparison, names: Names) -> Panel:
    base, accelerated = measured.motion_frames
    lines = [
        Line(names.base, _percents(base), BLUE),
        Line(names.accelerated, _percents(accelerated), ORANGE, dashed=True),
    ]
    kept = measured.motion_ratio
    note = "Mean change of a pixel since the frame before, in percent of full range."
    if math.isfinite(kept):
        note += f" {names.accelerated} moves {kept:.1%} as much."
    return Panel(
        "Motion",
        "frame",
        "% change",
        lines,
        note,
        empty="One frame has no motion." if measured.frames == 1 else "There is no number: pixels are nan.",
        y_range=(0, 0.1),
    )


def _percents(steps: list[float]) -> list[tuple[float, float]]:
    """Points of a line; the first step leads to frame 1."""
    return [(float(frame), 100 * value) for frame, value in enumerate(steps, 1)]


def _difference_caption(measured: Comparison, factor: int) -> str:
    if measured.equal:
        return "No difference"
    return f"Difference, amplified {factor} times" if factor > 1 else "Difference"


def _decibels(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "equal" if math.isinf(value) else f"{value:.1f} dB"


def _cell_size(columns: int, width: int, height: int) -> tuple[int, int]:
    """Cells that share the sheet's width, of the clip's own shape."""
    share = min(_MAX_CELL_WIDTH, (_SHEET_WIDTH - 6) // columns - 6)
    scale = min(share / width, _MAX_CELL_HEIGHT / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scaled(clip: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames `[N, H, W, C]` at a new size: means where they shrink, so that nothing flickers away."""
    planes = clip.movedim(-1, 1)
    shrinks = size[0] < clip.shape[2]
    mode = {"mode": "area"} if shrinks else {"mode": "bicubic", "align_corners": False}
    return interpolate(planes, size=size[::-1], **mode).movedim(1, -1).clamp(0, 1)


def _pictures(clip: Tensor) -> list[Image.Image]:
    pixels = (clip.clamp(0, 1) * 255).round().byte().numpy()
    if pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, axis=-1)
    return [Image.fromarray(frame) for frame in pixels]
