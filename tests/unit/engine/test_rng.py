"""Noise equals torch's CPU generator to 1e-6: the same seed gives the same video on desk and device."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.engine.rng import normal

BAR = 1e-6


def of_torch(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).numpy()


def test_a_thousand_seeds_and_sizes() -> None:
    draw = random.Random(0)
    small = [*range(40), 47, 48, 49, 63, 64, 65, 640]
    worst = 0.0
    for index in range(1000):
        seed = draw.choice((index, draw.randrange(2**32), draw.randrange(2**64), 2**64 - 1 - index))
        size = small[index % len(small)] if index % 2 else draw.randrange(1, 5000)
        found = normal(seed, (size,))
        assert found.dtype == np.float32
        if size:
            worst = max(worst, float(np.abs(found - of_torch(seed, (size,))).max()))
    assert worst <= BAR


@pytest.mark.parametrize(
    "shape", [(), (1, 4, 5, 4, 4), (1, 16, 7, 3, 5), (2, 3), (0, 4), (1, 128, 17, 32, 20)]
)
def test_shapes(shape: tuple[int, ...]) -> None:
    found = normal(2**63 + 5, shape)
    assert found.shape == shape
    np.testing.assert_allclose(found, of_torch(2**63 + 5, shape), rtol=0, atol=BAR)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="not within 0 to 2"):
        normal(seed, (4,))


def test_the_global_generator_of_numpy_is_left_alone() -> None:
    np.random.seed(3)
    before = np.random.random()
    np.random.seed(3)
    normal(9, (64,))
    assert np.random.random() == before
