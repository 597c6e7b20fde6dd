"""Few-step sampling with fresh noise, for distilled students (SF-V, arXiv:2406.04324; DMD2, 2405.14867).

Every step predicts the clean latent and noises it anew for the next sigma, in the arithmetic of ComfyUI's lcm
for a rectified flow. The noise of a step is the next draw of torch's CPU generator seeded with seed + 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .rng import MAX_SEED, NormalStream
from .samplers import Callback, Denoiser, Sampler

NAME = "renoise"


def renoising(seed: int, shape: Sequence[int]) -> Sampler:
    """The sampler of one run: a seed of 0 to 2^64-1 and the latent's shape `[B, C, F, H, W]`."""

    def sample_renoise(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
        noise = NormalStream((seed + 1) % (MAX_SEED + 1), shape)
        for i in range(len(sigmas) - 1):
            x = model(x, sigmas[i])
            callback(i, x)
            following = sigmas[i + 1]
            if following > 0:
                x = following * noise.draw() + (np.float32(1) - following) * x
        return x

    return sample_renoise
