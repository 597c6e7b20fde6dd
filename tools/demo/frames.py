"""Frames of two videos: reading them, measuring how far they agree, and the picture that shows both."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (24, 22, 48)
INK = (240, 238, 255)
FAINT = (160, 154, 214)
GOOD = (126, 214, 160)
TILE = 160
GAP = 10
MARGIN = 28
LABELS = 190
MAX_TILES = 9
# A PSNR of equal frames is infinite, which JSON cannot say.
EQUAL = 100.0


@dataclass(frozen=True)
class Agreement:
    """PSNR in dB of every pair of frames; frames that are equal count as 100 dB."""

    per_frame: list[float]

    @property
    def lowest(self) -> float:
        return min(self.per_frame)

    @property
    def mean(self) -> float:
        return sum(self.per_frame) / len(self.per_frame)


def read_frames(pictures: list[bytes]) -> np.ndarray:
    """Decode pictures to `[T, H, W, 3]` uint8."""
    return np.stack([np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures])


def agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """PSNR frame by frame, over the 8-bit values. Raises ValueError for videos of different shapes."""
    if first.shape != second.shape:
        raise ValueError(f"The videos have different shapes, {first.shape} and {second.shape}.")
    errors = ((first.astype(np.float64) - second.astype(np.float64)) ** 2).mean(axis=(1, 2, 3))
    return Agreement([EQUAL if error == 0 else float(10 * np.log10(255**2 / error)) for error in errors])


def contact_sheet(
    path: Path, title: str, rows: list[tuple[str, str, np.ndarray]], measured: Agreement
) -> None:
    """Draw rows of frames under each other, every tile labelled with its frame and its PSNR.

    A row is its name, a line below the name, and frames `[T, H, W, 3]`. Pixels are enlarged as squares, so
    that nothing is smoothed away.
    """
    count = rows[0][2].shape[0]
    chosen = [round(index) for index in np.linspace(0, count - 1, min(count, MAX_TILES))]
    heading, name_font, small = (ImageFont.load_default(size) for size in (26, 21, 15))
    frame_height, frame_width = rows[0][2].shape[1:3]
    tile = (TILE, round(TILE * frame_height / frame_width))
    head = textwrap.wrap(title, 88)[:2]
    top = MARGIN + 34 * len(head) + 18
    width = 2 * MARGIN + LABELS + len(chosen) * (tile[0] + GAP) - GAP
    height = top + len(rows) * (tile[1] + GAP) + 44 + MARGIN // 2
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(head):
        draw.text((MARGIN, MARGIN - 6 + 34 * number), line, INK, heading)
    for number, (name, remark, frames) in enumerate(rows):
        y = top + number * (tile[1] + GAP)
        draw.text((MARGIN, y + tile[1] // 2 - 26), name, INK, name_font)
        draw.text((MARGIN, y + tile[1] // 2 + 4), remark, FAINT, small)
        for column, frame in enumerate(chosen):
            picture = Image.fromarray(frames[frame]).resize(tile, Image.Resampling.NEAREST)
            sheet.paste(picture, (MARGIN + LABELS + column * (tile[0] + GAP), y))
    y = top + len(rows) * (tile[1] + GAP)
    draw.text((MARGIN, y + 6), f"agreement, {measured.lowest:.1f} dB or more", GOOD, small)
    for column, frame in enumerate(chosen):
        x = MARGIN + LABELS + column * (tile[0] + GAP) + tile[0] / 2
        value = measured.per_frame[frame]
        text = "equal" if value >= EQUAL else f"{value:.1f} dB"
        draw.text((x, y + 6), f"frame {frame + 1}:  {text}", FAINT, small, anchor="ma")
    sheet.save(path, optimize=True)
