"""Contact sheets: clips as rows of frames with their captions, for people to judge."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_INK, _PAPER, _GAP = (40, 42, 48), (250, 250, 252), 6


def contact_sheet(videos: Tensor, captions: list[str], frames: int = 6, zoom: int = 1) -> Image.Image:
    """A picture of clips `[B, 3, T, H, W]` in [-1, 1]: one row each, `frames` evenly spaced moments."""
    count, _, length, height, width = videos.shape
    moments = [round(i * (length - 1) / max(1, frames - 1)) for i in range(min(frames, length))]
    cell_w, cell_h, label = width * zoom, height * zoom, 22
    sheet = Image.new(
        "RGB",
        (_GAP + len(moments) * (cell_w + _GAP), _GAP + count * (cell_h + label + _GAP)),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    pixels = ((videos.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1).cpu().numpy()
    for row, caption in enumerate(captions):
        top = _GAP + row * (cell_h + label + _GAP)
        draw.text((_GAP + 2, top + 2), caption, fill=_INK, font=font)
        for column, moment in enumerate(moments):
            frame = Image.fromarray(pixels[row, moment]).resize((cell_w, cell_h), Image.Resampling.BICUBIC)
            sheet.paste(frame, (_GAP + column * (cell_w + _GAP), top + label))
    return sheet
