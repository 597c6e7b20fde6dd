"""Linear Proportional Leap (On-device Sora, arXiv:2502.04363, section 4) around a sampler of the device.

The drift d = (x - denoised) / sigma is compared with the step before; once the controller says that it has
stopped turning, the inner sampler is left and the denoised prediction returned. The desk does the same in
torch (`pocketvideo.acceleration.leaping`) with the same controller; golden vectors hold both together.
"""

from __future__ import annotations

import math

import numpy as np

from .leap import LeapConfig, LeapController
from .samplers import Callback, Denoiser, Sampler


class _Leapt(BaseException):
    """Leaves the inner sampler with what the leap gives."""

    def __init__(self, result: np.ndarray) -> None:
        self.result = result


def cosine_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two arrays as flat vectors, summed in float64; 1 where one is all zeros."""
    first, second = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    size = math.sqrt(float(first @ first)) * math.sqrt(float(second @ second))
    return 1.0 if size == 0 else float(first @ second) / size


def sample_with_leap(
    sampler: Sampler,
    config: LeapConfig,
    model: Denoiser,
    x: np.ndarray,
    sigmas: np.ndarray,
    callback: Callback,
) -> tuple[np.ndarray, int | None]:
    """Run `sampler` for one video until it leaps.

    Returns the latent at sigmas[-1], and the step of the leap, counted from 0, or None; without a leap the
    latent is the sampler's own. The callback is told of every step, and at a leap of the last one.
    """
    total = len(sigmas) - 1
    controller = LeapController(config, total)
    # The model's own prediction: what a sampler reports may have gone through its arithmetic (uni_pc).
    evaluated: tuple[np.ndarray, np.float32, np.ndarray] | None = None
    before: np.ndarray | None = None
    leapt: int | None = None

    def watched(x: np.ndarray, sigma: np.float32) -> np.ndarray:
        nonlocal evaluated
        denoised = model(x, sigma)
        evaluated = (x, sigma, denoised)
        return denoised

    def on_step(step: int, shown: np.ndarray) -> None:
        nonlocal before, leapt
        assert evaluated is not None
        at, sigma, denoised = evaluated
        drift = (at - denoised) / sigma
        similarity = None if before is None else cosine_similarity(drift, before)
        before = drift
        if not controller.observe(step, similarity):
            callback(step, shown)
            return
        leapt = step
        callback(total - 1, denoised)
        end = sigmas[-1]
        raise _Leapt(denoised if end == 0 else at + drift * (end - sigma))

    try:
        result = sampler(watched, x, sigmas, on_step)
    except _Leapt as leap:
        result = leap.result
    return result, leapt
