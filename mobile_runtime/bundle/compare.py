"""The one measure of likeness that exports, self-tests and benchmarks share."""

from __future__ import annotations

import math

import numpy as np


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; the peak is the range (max - min) of `expected`, or 1 when that is 0.

    Infinite for equal arrays, and minus infinity when `found` holds a value that is not finite.
    """
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if not np.isfinite(a).all():
        return -math.inf
    error = float(np.mean((a - b) ** 2)) if a.size else 0.0
    if error == 0:
        return math.inf
    peak = float(b.max() - b.min()) or 1.0
    return 10 * math.log10(peak**2 / error)
