"""Contact sheets: clips as rows of frames with their captions, for people to judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .chart import INK, PAPER, SOFT, font

_GAP = 6


@dataclass(frozen=True)
class Row:
    """Pictures of one size beside each other, a caption above them and perhaps a note below each."""

    caption: str
    pictures: Sequence[Image.Image]
    notes: Sequence[str] = ()


def contact_sheet(videos: Tensor, captions: list[str], frames: int = 6, zoom: int = 1) -> Image.Image:
    """A picture of clips `[B, 3, T, H, W]` in [-1, 1]: one row each, `frames` evenly spaced moments."""
    _, _, length, height, width = videos.shape
    moments = spaced_moments(length, frames)
    pixels = ((videos.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1).cpu().numpy()
    size = (width * zoom, height * zoom)
    return draw_rows(
        [
            Row(caption, [_resized(Image.fromarray(clip[moment]), size) for moment in moments])
            for caption, clip in zip(captions, pixels, strict=True)
        ]
    )


def spaced_moments(length: int, count: int) -> list[int]:
    """At most `count` frame numbers of a clip, evenly from its first to its last frame."""
    count = min(count, length)
    return [round(i * (length - 1) / max(1, count - 1)) for i in range(count)]


def draw_rows(rows: Sequence[Row], title: str = "", subtitle: str = "") -> Image.Image:
    """One picture of all rows, with a heading if there is a title."""
    cell_w, cell_h = rows[0].pictures[0].size
    columns = max(len(row.pictures) for row in rows)
    top = _GAP + (58 if title else 0)
    heights = [(22 if row.caption else 0) + cell_h + (20 if row.notes else 0) + _GAP for row in rows]
    sheet = Image.new("RGB", (_GAP + columns * (cell_w + _GAP), top + sum(heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_GAP + 2, _GAP + 4), title, fill=INK, font=font(19))
        draw.text((_GAP + 2, _GAP + 31), subtitle, fill=SOFT, font=font(14))
    for row, height in zip(rows, heights, strict=True):
        if row.caption:
            draw.text((_GAP + 2, top + 2), row.caption, fill=INK, font=font(14))
        for column, picture in enumerate(row.pictures):
            left = _GAP + column * (cell_w + _GAP)
            below = top + (22 if row.caption else 0)
            sheet.paste(picture, (left, below))
            if row.notes:
                place = (left + cell_w / 2, below + cell_h + 3)
                draw.text(place, row.notes[column], fill=SOFT, font=font(13), anchor="ma")
        top += height
    return sheet


def as_images(picture: Image.Image) -> Tensor:
    """A picture as ComfyUI's IMAGE `[1, H, W, 3]` in 0..1."""
    pixels = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    return pixels.view(1, picture.height, picture.width, 3).float() / 255


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.BICUBIC)
