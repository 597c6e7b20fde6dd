"""UniPC (arXiv:2302.04867) as ComfyUI runs it: multistep, third order, with the corrector, predicting x0.

ComfyUI gives it a variance preserving process (alpha = 1 / sqrt(sigma^2 + 1)) whatever the model is, and ends
at sigma 0.001 instead of 0; a rectified flow then divides by 1 - 0.001. This file does the same in the same
order and in float32, because a desk's video and a device's have to agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .errors import EngineError

Denoiser = Callable[[np.ndarray, np.float32], np.ndarray]
Callback = Callable[[int, np.ndarray], None]

END = np.float32(0.001)
ORDER = 3


def sample_uni_pc(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
    """UniPC with B(h) = h; x `[B, C, F, H, W]`, sigmas `[n + 1]` with n of at least 2, else EngineError."""
    return _sample(model, x, sigmas, callback, lambda h: h)


def sample_uni_pc_bh2(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
    """UniPC with B(h) = e^h - 1; as `sample_uni_pc`."""
    return _sample(model, x, sigmas, callback, np.expm1)


@dataclass
class _History:
    """Sigmas and x0 of the last `order` evaluations, the latest last."""

    order: int
    sigmas: list[np.float32] = field(default_factory=list)
    predictions: list[np.ndarray] = field(default_factory=list)

    def add(self, sigma: np.float32, prediction: np.ndarray | None) -> None:
        self.sigmas = [*self.sigmas, sigma][-self.order :]
        if prediction is not None:
            self.predictions = [*self.predictions, prediction][-self.order :]


def _sample(
    model: Denoiser,
    x: np.ndarray,
    sigmas: np.ndarray,
    callback: Callback,
    b_of: Callable[[np.float32], np.float32],
) -> np.ndarray:
    steps = len(sigmas) - 1
    if steps < 2:
        raise EngineError(f"The sampler uni_pc takes at least 2 steps and has {steps}; use more or euler.")
    times = sigmas.copy()
    to_zero = bool(times[-1] == 0)
    if to_zero:
        times[-1] = END

    def predict(at: np.ndarray, sigma: np.float32) -> np.ndarray:
        """x0 from the model, by way of its noise, as ComfyUI's wrapper goes."""
        scaled = at * (sigma**2 + np.float32(1)) ** np.float32(0.5)
        noise = (scaled - model(scaled, sigma)) / sigma
        return (at - _std(sigma) * noise) / _alpha(sigma)

    order = min(ORDER, steps - 1)
    x = x / np.sqrt(np.float32(1) + times[0] ** 2)
    history = _History(order)
    history.add(times[0], predict(x, times[0]))
    callback(0, history.predictions[-1])
    for step in range(1, steps + 1):
        last = step == steps
        step_order = min(order, steps + 1 - step) if step >= order else step
        x, prediction = _update(history, x, times[step], step_order, None if last else predict, b_of)
        history.add(times[step], prediction)
        if not last:
            # ComfyUI's last callback comes after the end; the evaluation it shows is this one.
            callback(step, history.predictions[-1])
    x = x / _alpha(times[-1])
    return x / (1 - END) if to_zero else x


def _update(
    history: _History,
    x: np.ndarray,
    sigma: np.float32,
    order: int,
    predict: Callable[[np.ndarray, np.float32], np.ndarray] | None,
    b_of: Callable[[np.float32], np.float32],
) -> tuple[np.ndarray, np.ndarray | None]:
    """x at `sigma` and, where `predict` is given, the evaluation there, by which x is then corrected."""
    sigma_0, x0 = history.sigmas[-1], history.predictions[-1]
    h = _lambda(sigma) - _lambda(sigma_0)
    ratios: list[np.float32] = []
    slopes: list[np.ndarray] = []
    for back in range(2, order + 1):
        ratio = (_lambda(history.sigmas[-back]) - _lambda(sigma_0)) / h
        ratios.append(ratio)
        slopes.append((history.predictions[-back] - x0) / ratio)
    ratios.append(np.float32(1))

    phi_1 = np.expm1(-h)
    b_h = b_of(-h)
    rows, right = [], []
    phi_k, factorial = phi_1 / -h - 1, 1
    for power in range(order):
        rows.append(np.array(ratios, np.float32) ** np.float32(power))
        right.append(phi_k * factorial / b_h)
        factorial *= power + 2
        phi_k = phi_k / -h - np.float32(1 / factorial)
    matrix, vector = np.stack(rows), np.array(right, np.float32)

    alpha = _alpha(sigma)
    straight = _std(sigma) / _std(sigma_0) * x - alpha * phi_1 * x0
    ahead = straight
    if slopes:
        half = np.array([0.5], np.float32)
        weights = half if order == 2 else np.linalg.solve(matrix[:-1, :-1], vector[:-1])
        ahead = straight - alpha * b_h * _weighted(slopes, weights)
    if predict is None:
        return ahead, None
    prediction = predict(ahead, sigma)
    weights = np.array([0.5], np.float32) if order == 1 else np.linalg.solve(matrix, vector)
    residual = _weighted([*slopes, prediction - x0], weights)
    return straight - alpha * b_h * residual, prediction


def _weighted(parts: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return total


def _log_alpha(sigma: np.float32) -> np.float32:
    return np.float32(0.5) * np.log(np.float32(1) / (sigma * sigma + np.float32(1)))


def _alpha(sigma: np.float32) -> np.float32:
    return np.exp(_log_alpha(sigma))


def _std(sigma: np.float32) -> np.float32:
    return np.sqrt(np.float32(1) - np.exp(np.float32(2) * _log_alpha(sigma)))


def _lambda(sigma: np.float32) -> np.float32:
    """Half the log of the signal to noise ratio."""
    log_alpha = _log_alpha(sigma)
    return log_alpha - np.float32(0.5) * np.log(np.float32(1) - np.exp(np.float32(2) * log_alpha))
