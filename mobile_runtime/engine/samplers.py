"""Samplers: pure functions with k-diffusion's signature (model, x, sigmas, callback) -> x.

`model(x, sigma)` returns the denoised latent (x0), guidance included, for one sigma of the batch.
`callback` is told (step, x0) after each step's own evaluation, before any further one. Arithmetic is in
float32 and in ComfyUI's order, so that a device's latent is the desk's; golden vectors hold them together.
A later sampler is one more function and one more line in SAMPLERS.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .uni_pc import sample_uni_pc, sample_uni_pc_bh2

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


def sample_heun(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
    """Algorithm 2 (Heun steps) of Karras et al. (2022), no churn: two evaluations a step but the last."""
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        derivative = (x - denoised) / sigmas[i]
        callback(i, denoised)
        width = sigmas[i + 1] - sigmas[i]
        if sigmas[i + 1] == 0:
            x = x + derivative * width
            continue
        ahead = x + derivative * width
        derivative_ahead = (ahead - model(ahead, sigmas[i + 1])) / sigmas[i + 1]
        x = x + (derivative + derivative_ahead) / 2 * width
    return x


def sample_dpm_2(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
    """DPM-Solver-2 (arXiv:2206.00927): a midpoint in log sigma; two evaluations a step but the last."""
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        derivative = (x - denoised) / sigmas[i]
        callback(i, denoised)
        if sigmas[i + 1] == 0:
            x = x + derivative * (sigmas[i + 1] - sigmas[i])
            continue
        start, end = np.log(sigmas[i]), np.log(sigmas[i + 1])
        middle = np.exp(start + np.float32(0.5) * (end - start))
        halfway = x + derivative * (middle - sigmas[i])
        x = x + (halfway - model(halfway, middle)) / middle * (sigmas[i + 1] - sigmas[i])
    return x


def sample_dpmpp_2m(model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback) -> np.ndarray:
    """DPM-Solver++(2M) of arXiv:2211.01095: second order from the step before, one evaluation a step."""
    before: np.ndarray | None = None
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        callback(i, denoised)
        if sigmas[i + 1] == 0:
            x = denoised
            continue
        t, t_next = -np.log(sigmas[i]), -np.log(sigmas[i + 1])
        h = t_next - t
        toward = denoised
        if before is not None:
            ratio = (t + np.log(sigmas[i - 1])) / h
            toward = (1 + 1 / (2 * ratio)) * denoised - 1 / (2 * ratio) * before
        x = np.exp(-t_next) / np.exp(-t) * x - np.expm1(-h) * toward
        before = denoised
    return x


def sample_res_multistep(
    model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback
) -> np.ndarray:
    """The second order multistep method of arXiv:2308.02157 without noise; one evaluation a step."""
    before: np.ndarray | None = None
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        callback(i, denoised)
        if before is None or sigmas[i + 1] == 0:
            x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
        else:
            t, t_before = -np.log(sigmas[i]), -np.log(sigmas[i - 1])
            h = -np.log(sigmas[i + 1]) - t
            c2 = (t_before - t) / h
            phi1 = np.expm1(-h) / -h
            phi2 = (phi1 - 1) / -h
            x = np.exp(-h) * x + h * ((phi1 - phi2 / c2) * denoised + phi2 / c2 * before)
        before = denoised
    return x


def sample_gradient_estimation(
    model: Denoiser, x: np.ndarray, sigmas: np.ndarray, callback: Callback
) -> np.ndarray:
    """Gradient estimation (openreview o2ND9v0CeK) with gamma 2: Euler, corrected by how the drift changed."""
    before: np.ndarray | None = None
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        derivative = (x - denoised) / sigmas[i]
        callback(i, denoised)
        if sigmas[i + 1] == 0:
            x = denoised
        else:
            width = sigmas[i + 1] - sigmas[i]
            x = x + derivative * width
            if before is not None:
                x = x + (derivative - before) * width
        before = derivative
    return x


SAMPLERS: dict[str, Sampler] = {
    "euler": sample_euler,
    "heun": sample_heun,
    "dpm_2": sample_dpm_2,
    "dpmpp_2m": sample_dpmpp_2m,
    "res_multistep": sample_res_multistep,
    "gradient_estimation": sample_gradient_estimation,
    # ComfyUI's ddim is its euler with other noise under a mask, which no flow model of ours looks at.
    "ddim": sample_euler,
    "uni_pc": sample_uni_pc,
    "uni_pc_bh2": sample_uni_pc_bh2,
}
