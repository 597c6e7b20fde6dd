"""Rotary positions over time, height and width (RoPE3D of MobileI2V).

A head of D channels is cut in three equal parts for t, y and x; inside each part the two halves rotate
together ("rotate-half"). Heights and widths are mapped onto a fixed grid, so that a network meets the same
range of positions at every size: MobileI2V's table for 23 x 40 latents divides y by 1.4375 = 23 / 16 and
x by 2.5 = 40 / 16.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rope_3d(
    frames: int,
    height: int,
    width: int,
    head_dim: int,
    *,
    grid: int,
    base: float,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each `[F, H, W, D]` in float32."""
    part = head_dim // 3
    frequencies = base ** (-torch.arange(0, part, 2, dtype=torch.float32, device=device) / part)
    axes = (
        torch.arange(frames, dtype=torch.float32, device=device),
        torch.arange(height, dtype=torch.float32, device=device) * (grid / height),
        torch.arange(width, dtype=torch.float32, device=device) * (grid / width),
    )
    tables = []
    for axis, positions in enumerate(axes):
        angles = (positions[:, None] * frequencies).repeat(1, 2)  # [n, part]
        shape = [1, 1, 1, part]
        shape[axis] = -1
        tables.append(angles.view(shape).expand(frames, height, width, part))
    angles = torch.cat(tables, dim=-1)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate `[B, h, N, D]` by tables `[N, D]`, each third of D on its own."""
    parts = []
    for part in x.chunk(3, dim=-1):
        first, second = part.chunk(2, dim=-1)
        parts.append(torch.cat((-second, first), dim=-1))
    return x * cos + torch.cat(parts, dim=-1) * sin
