"""Samplers: pure functions with k-diffusion's signature (model, x, sigmas, callback) -> x.

`model(x, sigma)` returns the denoised latent (x0), guidance included, for one sigma of the batch.
`callback` is told (step, x0) after each evaluation. A later sampler is one more function and one more line
in SAMPLERS.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Denoiser = Callable[[np.ndarray, np.float32], np.ndarray]
Callback = Callable[[int, np.ndarray], None]
Sampler = Callable[[Denoiser, np.ndarray, np.ndarray, Callback], np.ndarray]


def sample_euler(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
    """Algorithm 2 (Euler steps) of Karras et al.

    (2022), without churn; x `[B, C, F, H, W]`, sigmas `[n + 1]`.
    """
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        derivative = (x - denoised) / sigmas[i]
        callback(i, denoised)
        x = x + derivative * (sigmas[i + 1] - sigmas[i])
    return x


SAMPLERS: dict[str, Sampler] = {"euler": sample_euler}
