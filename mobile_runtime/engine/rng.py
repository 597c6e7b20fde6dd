"""Standard normal noise of torch's CPU generator, in numpy: same seed, same video on desk and device.

Follows at::mt19937 (MT19937 seeded with the seed's low 32 bits) and `normal_fill` of aten's
DistributionTemplates.h: from 16 elements on, float uniforms of 24 bits go through the Box-Muller transform
in blocks of 16, cosines in the first 8 and sines in the last 8, and a rest of less than 16 redraws the last
16. Below 16 elements each pair takes four draws, makes two uniforms of 53 bits, and is transformed in
double precision. Equal to torch to 1e-6: torch's vectorised logarithm and cosine differ in the last bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MAX_SEED = 2**64 - 1
_BLOCK = 16
_TWO_PI = np.float32(2 * math.pi)


def normal(seed: int, shape: Sequence[int]) -> np.ndarray:
    """`torch.randn(shape, generator=torch.Generator().manual_seed(seed))` as float32.

    Args:
        seed: 0 to 2^64-1. As in torch, only the low 32 bits matter.
        shape: any shape, also the empty one.

    Raises ValueError for a seed out of range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"The seed {seed} is not within 0 to 2^64-1; choose one that is.")
    size = math.prod(shape)
    flat = _blocks(seed, size) if size >= _BLOCK else _pairs(seed, size)
    return flat.reshape(tuple(shape))


class NormalStream:
    """Successive `torch.randn(shape, generator=...)` of one generator, for arrays of 16 numbers or more.

    Smaller ones leave half a pair behind in torch's generator, and no latent is that small.
    """

    def __init__(self, seed: int, shape: Sequence[int]) -> None:
        """Raises ValueError for a seed out of range or a shape of less than 16 numbers."""
        self._shape, self._size = tuple(shape), math.prod(shape)
        if not 0 <= seed <= MAX_SEED or self._size < _BLOCK:
            raise ValueError(
                f"No stream of noise starts at seed {seed} with the shape {self._shape}: choose a seed "
                f"within 0 to 2^64-1 and {_BLOCK} numbers or more."
            )
        self._generator = _generator(seed)

    def draw(self) -> np.ndarray:
        """The next array, float32."""
        rest = self._size % _BLOCK
        draws = self._generator.random_raw(self._size + (_BLOCK if rest else 0))
        return _normals(draws, self._size).reshape(self._shape)


def _generator(seed: int) -> np.random.MT19937:
    """mt19937 as torch seeds it."""
    # RandomState seeds with the reference init_genrand, as at::mt19937 does; MT19937(seed) does not.
    state = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)
    generator = np.random.MT19937()
    generator.state = {"bit_generator": "MT19937", "state": state["state"]}
    return generator


def _draws(seed: int, count: int) -> np.ndarray:
    """The first `count` 32-bit outputs of mt19937 as torch seeds it."""
    return _generator(seed).random_raw(count)


def _blocks(seed: int, size: int) -> np.ndarray:
    return _normals(_draws(seed, size + (_BLOCK if size % _BLOCK else 0)), size)


def _normals(draws: np.ndarray, size: int) -> np.ndarray:
    rest = size % _BLOCK
    uniform = (draws & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)
    whole = size - rest
    result = np.empty(size, np.float32)
    result[:whole] = _box_muller(uniform[:whole].reshape(-1, _BLOCK)).reshape(-1)
    if rest:
        result[-_BLOCK:] = _box_muller(uniform[size:].reshape(1, _BLOCK))[0]
    return result


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    """`[N, 16]` uniforms to `[N, 16]` normals. The angle is rounded to float32, as torch does."""
    half = _BLOCK // 2
    radius = np.sqrt(-2 * np.log((np.float32(1) - uniform[:, :half]).astype(np.float64)))
    angle = (_TWO_PI * uniform[:, half:]).astype(np.float64)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


def _pairs(seed: int, size: int) -> np.ndarray:
    if size == 0:
        return np.empty(0, np.float32)
    count = (size + 1) // 2
    draws = _draws(seed, 4 * count).astype(np.uint64)
    mantissa = ((draws[0::2] << np.uint64(32)) | draws[1::2]) & np.uint64(2**53 - 1)
    uniform = mantissa.astype(np.float64) * 2.0**-53
    angle = 2 * math.pi * uniform[0::2]
    radius = np.sqrt(-2 * np.log1p(-uniform[1::2]))
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1)[:size].astype(np.float32)
