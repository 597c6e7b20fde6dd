"""Decoding in overlapping tiles: ComfyUI's `tiled_scale_multidim` for a video latent, in numpy.

A decoder sees one tile at a time, so that its activations stay small; where tiles overlap they are blended by
weights that rise from the edge. A latent that fits into one tile is decoded as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Decoder = Callable[[np.ndarray], np.ndarray]
# (tiles done, tiles in all)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tiling:
    """Tiles of `size` latent cells that share `overlap`, per axis [frames, height, width].

    `scale` is what a cell becomes: n frames of latent are (n - 1) scale[0] + 1 frames of video, n cells of
    height or width n times their scale in pixels.
    """

    size: tuple[int, int, int]
    overlap: tuple[int, int, int]
    scale: tuple[int, int, int]

    def frames_and_sides(self, cells: tuple[int, ...]) -> tuple[int, ...]:
        """What that many cells per axis become."""
        return (
            max(0, (cells[0] - 1) * self.scale[0] + 1),
            cells[1] * self.scale[1],
            cells[2] * self.scale[2],
        )


def decode_tiled(
    latent: np.ndarray, decode: Decoder, tiling: Tiling, progress: Progress | None = None
) -> np.ndarray:
    """Decode `[1, C, F, h, w]` to `[1, 3, T, H, W]` tile by tile; `decode` takes and gives such arrays."""
    cells = latent.shape[2:]
    if all(count <= size for count, size in zip(cells, tiling.size, strict=True)):
        whole = decode(latent)
        if progress is not None:
            progress(1, 1)
        return whole
    shape = tiling.frames_and_sides(cells)
    total = np.zeros((1, 3, *shape), np.float32)
    weights = np.zeros((1, 1, *shape), np.float32)
    corners = list(itertools.product(*map(_starts, cells, tiling.size, tiling.overlap)))
    for done, corner in enumerate(corners):
        begin = [
            max(0, min(count - overlap, start))
            for count, overlap, start in zip(cells, tiling.overlap, corner, strict=True)
        ]
        end = [start + size for start, size in zip(begin, tiling.size, strict=True)]
        piece = decode(latent[:, :, begin[0] : end[0], begin[1] : end[1], begin[2] : end[2]])
        mask = _feathered(piece.shape[2:], tiling.frames_and_sides(tiling.overlap))
        place = tuple(start * scale for start, scale in zip(begin, tiling.scale, strict=True))
        # A tile in the middle makes its first frame as if the clip began there: it may stick out at the end.
        target, source = [slice(None), slice(None)], [slice(None), slice(None)]
        for start, length, limit in zip(place, piece.shape[2:], shape, strict=True):
            kept = min(length, limit - start)
            target.append(slice(start, start + kept))
            source.append(slice(0, kept))
        total[tuple(target)] += piece[tuple(source)] * mask[tuple(source)]
        weights[tuple(target)] += mask[tuple(source)]
        if progress is not None:
            progress(done + 1, len(corners))
    return total / weights


def _starts(count: int, size: int, overlap: int) -> range:
    return range(0, count - overlap, size - overlap) if count > size else range(1)


def _feathered(shape: tuple[int, ...], feather: tuple[int, ...]) -> np.ndarray:
    """Ones that fall towards both ends of every axis over `feather` values, where the axis is longer."""
    mask = np.ones((1, 1, *shape), np.float32)
    for axis, (length, reach) in enumerate(zip(shape, feather, strict=True)):
        if reach >= length:
            continue
        slope = np.ones(length, np.float32)
        rise = (np.arange(reach, dtype=np.float64) + 1) / max(reach, 1)
        slope[:reach] *= rise
        slope[length - reach :] *= rise[::-1]
        mask = mask * slope.reshape([-1 if index == axis + 2 else 1 for index in range(5)])
    return mask
