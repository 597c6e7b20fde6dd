"""Does a clip show what its caption asks for? A detector for the moving-shapes data, without any network.

The shape is separated from the background, whose colour the frame's border gives. Colour is the nearest of
the palette at any brightness; the outline is the template with the best overlap over all turns; the motion
follows from centroid, area and the phase of the outline's symmetry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ..training.data.shapes import COLOURS, ROUND, SHAPES, ClipSpec, signed_distance

SYMMETRY = {"square": 4, "triangle": 3, "star": 5}
# A pixel belongs to the shape when a channel differs by this much from the background (range 0..1).
FOREGROUND = 0.16
# Borders of "moves", "changes size" and "turns"; the data's smallest motions are 2 to 3 times as large.
MIN_TRAVEL = 0.10
MIN_LOG_GROWTH = 0.22
MIN_TURN = math.radians(30)
_TURNS = 24


@dataclass(frozen=True)
class Detection:
    """What was found; None where nothing convincing was."""

    colour: str | None
    shape: str | None
    motion: str | None
    travel: tuple[float, float]
    log_growth: float
    turn: float


def detect(video: Tensor) -> Detection:
    """Describe one clip `[T, H, W, 3]` with values in 0..1."""
    video = video.float().clamp(0, 1)
    masks = _foreground(video)
    area = masks.sum((1, 2))
    size = video.shape[1] * video.shape[2]
    visible = (area > 0.004 * size) & (area < 0.5 * size)
    if int(visible.sum()) < max(1, len(video) // 2):
        return Detection(None, None, None, (0.0, 0.0), 0.0, 0.0)
    frames = visible.nonzero().flatten()
    shape = _shape(masks[frames[:: max(1, len(frames) // 5)]])
    centres = torch.stack([_centre(masks[i]) for i in frames]) / min(video.shape[1:3])
    ends = max(1, len(frames) // 8)
    travel = centres[-ends:].mean(0) - centres[:ends].mean(0)
    growth = 0.5 * math.log(float(area[frames][-ends:].mean() / area[frames][:ends].mean()))
    turn = _turn(masks[frames], SYMMETRY.get(shape, 0))
    dx, dy = float(travel[0]), float(travel[1])
    return Detection(_colour(video, masks), shape, _motion(dx, dy, growth, turn), (dx, dy), growth, turn)


def adherence(videos: list[Tensor], specs: list[ClipSpec]) -> dict[str, float]:
    """Fraction of clips that show the asked colour, shape and motion, and all three at once."""
    found = [detect(video) for video in videos]
    pairs = list(zip(found, specs, strict=True))
    hits = {
        name: [getattr(seen, name) == getattr(asked, name) for seen, asked in pairs]
        for name in ("colour", "shape", "motion")
    }
    hits["all"] = [all(row) for row in zip(*hits.values(), strict=True)]
    return {name: sum(values) / len(values) for name, values in hits.items()}


def _foreground(video: Tensor) -> Tensor:
    """Masks `[T, H, W]`: pixels unlike the border, row by row because backgrounds are lit from above."""
    width = video.shape[2]
    columns = torch.cat((video[:, :, : width // 16], video[:, :, -(width // 16) :]), dim=2)
    rows = columns.median(dim=2).values  # [T, H, 3]
    smooth = rows.median(dim=1, keepdim=True).values
    # A shape that touches the border must not repaint its rows.
    rows = torch.where((rows - smooth).abs().amax(-1, keepdim=True) > FOREGROUND / 2, smooth, rows)
    return ((video - rows[:, :, None]).abs().amax(-1) > FOREGROUND).float()


def _centre(mask: Tensor) -> Tensor:
    ys, xs = mask.nonzero(as_tuple=True)
    return torch.stack((xs.float().mean(), ys.float().mean())) + 0.5


def _colour(video: Tensor, masks: Tensor) -> str:
    inner = -torch.nn.functional.max_pool2d(-masks[:, None], 5, 1, 2)[:, 0]
    chosen = inner if inner.sum() > 50 else masks
    mean = (video * chosen[..., None]).sum((0, 1, 2)) / chosen.sum()

    def distance(name: str) -> float:
        colour = torch.tensor(COLOURS[name])
        brightness = float((mean @ colour / (colour @ colour)).clamp(0.75, 1.2))
        return float((mean - brightness * colour).norm())

    return min(COLOURS, key=distance)


def _shape(masks: Tensor) -> str:
    scores = dict.fromkeys(SHAPES, 0.0)
    for mask in masks:
        centred = _normalised(mask)
        for shape in SHAPES:
            templates = _templates(shape)
            overlap = torch.minimum(centred, templates).sum((1, 2)) / torch.maximum(centred, templates).sum(
                (1, 2)
            )
            scores[shape] += float(overlap.max())
    return max(scores, key=lambda shape: scores[shape])


def _normalised(mask: Tensor, side: int = 48) -> Tensor:
    """The mask centred and scaled to one area, so that one set of templates fits every clip."""
    height, width = mask.shape
    centre = _centre(mask)
    scale = math.sqrt(float(mask.sum())) * 0.95  # half the window: every outline fits
    steps = (torch.arange(side) + 0.5) / side * 2 - 1
    grid_y, grid_x = torch.meshgrid(steps * scale, steps * scale, indexing="ij")
    grid = torch.stack(((centre[0] + grid_x) / width, (centre[1] + grid_y) / height), dim=-1) * 2 - 1
    return torch.nn.functional.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0]


@cache
def _templates(shape: str, side: int = 48) -> Tensor:
    """Outlines of unit area, `[turns, side, side]`, through one period of the shape's symmetry."""
    steps = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(steps * 0.95, steps * 0.95, indexing="ij")
    fine = torch.linspace(-1, 1, 801)
    fine_y, fine_x = torch.meshgrid(fine * 1.3, fine * 1.3, indexing="ij")
    unit = float((signed_distance(shape, fine_x, fine_y, torch.tensor(1.0)) < 0).float().mean()) * 2.6**2
    radius = torch.tensor(1 / math.sqrt(unit))
    turns = [0.0] if shape in ROUND else [2 * math.pi / SYMMETRY[shape] * i / _TURNS for i in range(_TURNS)]
    pixel = 1.9 / side
    outlines = []
    for turn in turns:
        cos, sin = math.cos(turn), math.sin(turn)
        distance = signed_distance(shape, cos * x + sin * y, -sin * x + cos * y, radius)
        outlines.append((0.5 - distance / pixel).clamp(0, 1))
    return torch.stack(outlines)


def _turn(masks: Tensor, symmetry: int) -> float:
    """Radians that the outline turned from first to last frame; 0 for round shapes."""
    if not symmetry:
        return 0.0
    phases = []
    for mask in masks:
        ys, xs = mask.nonzero(as_tuple=True)
        offset = torch.stack((xs.float(), ys.float()), 1) + 0.5 - _centre(mask)
        point = torch.complex(offset[:, 0], offset[:, 1])
        phases.append((point**symmetry / offset.norm(dim=1).max() ** symmetry).sum().angle())
    steps = torch.stack(phases).diff()
    steps = torch.remainder(steps + math.pi, 2 * math.pi) - math.pi
    return float(steps.sum()) / symmetry


def _motion(dx: float, dy: float, log_growth: float, turn: float) -> str | None:
    if math.hypot(dx, dy) > MIN_TRAVEL:
        if max(abs(dx), abs(dy)) < 2 * min(abs(dx), abs(dy)):
            return None
        if abs(dx) > abs(dy):
            return "right" if dx > 0 else "left"
        return "down" if dy > 0 else "up"
    if abs(log_growth) > MIN_LOG_GROWTH:
        return "grow" if log_growth > 0 else "shrink"
    return "spin" if abs(turn) > MIN_TURN else None
