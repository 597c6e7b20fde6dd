"""The quantile of the beta distribution, which ComfyUI's `beta` schedule takes from scipy."""

from __future__ import annotations

import math

import numpy as np

_TERMS = 200
_HALVINGS = 46
_TINY = 1e-300


def quantile(probability: np.ndarray, a: float, b: float) -> np.ndarray:
    """The x in [0, 1] with I_x(a, b) = probability, by bisection; to about 1e-14."""
    p = np.asarray(probability, np.float64)
    low, high = np.zeros_like(p), np.ones_like(p)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = cumulative(middle, a, b) < p
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    x = (low + high) / 2
    x[p <= 0], x[p >= 1] = 0.0, 1.0
    if a == b:
        # The median of a symmetric distribution is exact, and the schedule rounds at it.
        x[p == 0.5] = 0.5
    return x


def cumulative(x: np.ndarray, a: float, b: float) -> np.ndarray:
    """The regularised incomplete beta function I_x(a, b) for x in [0, 1], by Lentz's continued fraction."""
    x = np.asarray(x, np.float64)
    # The fraction converges fast below the mean; the rest follows from I_x(a, b) = 1 - I_(1-x)(b, a).
    swap = x > (a + 1) / (a + b + 2)
    y = np.where(swap, 1 - x, x)
    first, second = np.where(swap, b, a), np.where(swap, a, b)
    with np.errstate(divide="ignore"):
        front = np.exp(
            first * np.log(y)
            + second * np.log1p(-y)
            - (math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))
            - np.log(first)
        )
    value = front * _fraction(y, first, second)
    return np.where(swap, 1 - value, value)


def _fraction(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    c = np.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _TERMS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + numerator * d)
            c = _away_from_zero(1 + numerator / c)
            result = result * (d * c)
        if np.all(np.abs(d * c - 1) < 4e-16):
            break
    return result


def _away_from_zero(value: np.ndarray) -> np.ndarray:
    return np.where(np.abs(value) < _TINY, _TINY, value)
