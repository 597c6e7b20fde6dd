"""A procedural, seeded data set of captioned moving shapes.

One clip is a `ClipSpec`: a shape of one colour that does one thing on a background of one colour.
Everything else (where, how big, how fast, which words) is drawn from the clip's own seed, so that clip
`i` of seed `s` is the same on every machine. This file knows nothing about networks.

Lengths are in fractions of the frame's side, so that any frame size renders the same scene.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.16, 0.18),
    "orange": (0.98, 0.55, 0.10),
    "yellow": (0.98, 0.88, 0.20),
    "green": (0.20, 0.75, 0.30),
    "cyan": (0.15, 0.80, 0.85),
    "blue": (0.20, 0.40, 0.95),
    "purple": (0.62, 0.28, 0.85),
    "white": (0.95, 0.95, 0.95),
}
BACKGROUNDS: dict[str, tuple[float, float, float]] = {
    "black": (0.04, 0.04, 0.05),
    "navy": (0.06, 0.09, 0.25),
    "maroon": (0.28, 0.05, 0.10),
    "forest": (0.05, 0.20, 0.12),
    "gray": (0.33, 0.34, 0.36),
}
SHAPES = ("circle", "square", "triangle", "star", "ring")
MOTIONS: dict[str, tuple[str, ...]] = {
    "left": ("moves left", "moving left", "slides to the left", "moving to the left"),
    "right": ("moves right", "moving right", "slides to the right", "moving to the right"),
    "up": ("moves up", "moving up", "rises", "floating up"),
    "down": ("moves down", "moving down", "falls", "sinking down"),
    "spin": ("spins", "spinning", "rotates", "rotating"),
    "grow": ("grows", "growing", "gets bigger", "growing larger"),
    "shrink": ("shrinks", "shrinking", "gets smaller", "shrinking smaller"),
}
TEMPLATES = (
    "{article} {colour} {shape} {motion} on a {background} background",
    "{colour} {shape} {motion}, {background} background",
    "{article} {colour} {shape} {motion} over {background}",
    "on a {background} background {article} {colour} {shape} {motion}",
)
# Turning one of these cannot be seen.
ROUND = ("circle", "ring")
# The motion score runs from 1 (slow) to 3 (fast) for every kind of motion.
MOTION_SCORE_RANGE = (1.0, 3.0)
# The triples depend on this number alone, so that new wordings do not move the border.
_HELD_OUT_SEED = 20251121


@dataclass(frozen=True)
class ClipSpec:
    """One clip: what its caption says, and the drawn numbers that the caption leaves open.

    `start` and `end` are (x, y, radius, angle): position and radius in fractions of the frame's side
    (y grows downwards), angle in radians, clockwise on the screen.
    """

    colour: str
    shape: str
    motion: str
    background: str
    caption: str
    motion_score: float
    start: tuple[float, float, float, float]
    end: tuple[float, float, float, float]


def all_triples() -> list[tuple[str, str, str]]:
    """Every (colour, shape, motion) that can be seen."""
    return [
        (colour, shape, motion)
        for colour in COLOURS
        for shape in SHAPES
        for motion in MOTIONS
        if not (motion == "spin" and shape in ROUND)
    ]


def held_out_triples(count: int = 64) -> list[tuple[str, str, str]]:
    """`count` (colour, shape, motion) triples that training never shows, balanced over the colours."""
    rng = random.Random(_HELD_OUT_SEED)
    by_colour = {colour: [t for t in all_triples() if t[0] == colour] for colour in COLOURS}
    for triples in by_colour.values():
        rng.shuffle(triples)
    order = list(COLOURS)
    return [by_colour[order[i % len(order)]][i // len(order)] for i in range(count)]


def held_out_prompts(count: int = 64) -> list[ClipSpec]:
    """One captioned clip per held-out triple; backgrounds take turns."""
    backgrounds = list(BACKGROUNDS)
    specs = []
    for i, (colour, shape, motion) in enumerate(held_out_triples(count)):
        rng = random.Random(f"held-out/{i}")
        specs.append(draw_spec(rng, colour, shape, motion, backgrounds[i % len(backgrounds)]))
    return specs


def training_spec(seed: int, index: int) -> ClipSpec:
    """Clip `index` of the training set of `seed`; never one of the held-out triples."""
    rng = random.Random(f"train/{seed}/{index}")
    held_out = set(held_out_triples())
    allowed = [t for t in all_triples() if t not in held_out]
    colour, shape, motion = rng.choice(allowed)
    return draw_spec(rng, colour, shape, motion, rng.choice(list(BACKGROUNDS)))


def draw_spec(rng: random.Random, colour: str, shape: str, motion: str, background: str) -> ClipSpec:
    """Draw what the words leave open: place, size, speed, angle and the wording itself."""
    speed = rng.random()
    low, high = MOTION_SCORE_RANGE
    radius = rng.uniform(0.15, 0.21)
    angle = rng.uniform(-0.35, 0.35)
    margin = 0.04
    if motion in ("left", "right", "up", "down"):
        travel = 0.24 + 0.26 * speed
        room = 1 - 2 * (radius + margin)
        along = radius + margin + rng.random() * max(0.0, room - travel)
        across = radius + margin + rng.random() * room
        begin, finish = along, along + travel
        if motion in ("left", "up"):
            begin, finish = finish, begin
        horizontal = motion in ("left", "right")
        start = (begin, across, radius, angle) if horizontal else (across, begin, radius, angle)
        end = (finish, across, radius, angle) if horizontal else (across, finish, radius, angle)
    elif motion == "spin":
        turn = math.radians(60 + 80 * speed)
        radius += 0.04
        x, y = (radius + margin + rng.random() * (1 - 2 * (radius + margin)) for _ in range(2))
        start, end = (x, y, radius, angle), (x, y, radius, angle + turn)
    else:
        small = rng.uniform(0.10, 0.13)
        large = small + 0.09 + 0.11 * speed
        x, y = (large + margin + rng.random() * (1 - 2 * (large + margin)) for _ in range(2))
        start, end = (x, y, small, angle), (x, y, large, angle)
        if motion == "shrink":
            start, end = end, start
    caption = rng.choice(TEMPLATES).format(
        article="an" if colour[0] in "aeiou" else "a",
        colour=colour,
        shape=shape,
        motion=rng.choice(MOTIONS[motion]),
        background=background,
    )
    score = low + (high - low) * speed
    return ClipSpec(colour, shape, motion, background, caption, score, start, end)


def render(specs: list[ClipSpec], frames: int = 17, height: int = 128, width: int = 128) -> torch.Tensor:
    """Draw clips with anti-aliased edges. Returns `[B, 3, T, H, W]` in [-1, 1].

    A signed distance to the outline, in pixels, gives the coverage of every pixel. The background
    brightens slightly towards the top and the shape towards its upper left.
    """
    side = float(min(height, width))
    ys = (torch.arange(height, dtype=torch.float32) + 0.5) / side
    xs = (torch.arange(width, dtype=torch.float32) + 0.5) / side
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    time = torch.linspace(0, 1, frames)[:, None]
    clips = []
    for spec in specs:
        pose = torch.tensor(spec.start) * (1 - time) + torch.tensor(spec.end) * time  # [T, 4]
        x, y, radius, angle = (pose[:, i, None, None] for i in range(4))
        dx, dy = grid_x - x, grid_y - y
        cos, sin = torch.cos(angle), torch.sin(angle)
        local_x, local_y = cos * dx + sin * dy, -sin * dx + cos * dy
        distance = signed_distance(spec.shape, local_x, local_y, radius)
        coverage = (0.5 - distance * side).clamp(0, 1)[:, None]  # [T, 1, H, W]
        shade = 1 - 0.12 * ((dx + dy) / radius).clamp(-1, 1)[:, None]
        colour = torch.tensor(COLOURS[spec.colour])[None, :, None, None] * shade
        light = 1.15 - 0.3 * grid_y[None, None]
        ground = torch.tensor(BACKGROUNDS[spec.background])[None, :, None, None] * light
        clips.append((ground * (1 - coverage) + colour * coverage).clamp(0, 1).movedim(1, 0))
    return torch.stack(clips) * 2 - 1


def signed_distance(shape: str, x: torch.Tensor, y: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Distance to the outline, negative inside; all lengths in fractions of the frame's side."""
    if shape == "circle":
        return torch.hypot(x, y) - radius
    if shape == "ring":
        return (torch.hypot(x, y) - 0.76 * radius).abs() - 0.24 * radius
    if shape == "square":
        return torch.maximum(x.abs(), y.abs()) - 0.82 * radius
    if shape == "triangle":
        edge = math.sqrt(0.75)
        return torch.maximum(torch.maximum(edge * x + 0.5 * -y, -edge * x + 0.5 * -y), y) - 0.55 * radius
    if shape == "star":
        return _star(x, y, radius * 1.1)
    raise ValueError(f"Unknown shape '{shape}': choose one of {', '.join(SHAPES)}.")


def _star(x: torch.Tensor, y: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Five points, one upwards; inner corners at 0.45 of the radius."""
    sector = math.pi / 5
    angle = torch.atan2(x, -y)
    folded = (angle + sector).remainder(2 * sector) - sector
    length = torch.hypot(x, y)
    # In the folded sector the outline is one straight edge from the tip to the inner corner.
    px, py = length * folded.sin().abs(), length * folded.cos()
    inner_x, inner_y = 0.45 * math.sin(sector), 0.45 * math.cos(sector)
    edge_x, edge_y = inner_x, inner_y - 1
    norm = math.hypot(edge_x, edge_y)
    return (px * -edge_y + (py - radius) * edge_x) / norm
