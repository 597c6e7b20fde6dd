"""Classifier-free guidance (arXiv:2207.12598), on denoised latents as ComfyUI combines them."""

from __future__ import annotations

import math

import numpy as np


def combine(positive: np.ndarray, negative: np.ndarray, scale: float) -> np.ndarray:
    """negative + (positive - negative) x scale, float32."""
    return negative + (positive - negative) * np.float32(scale)


def is_off(scale: float) -> bool:
    """True when guidance changes nothing, so that the unconditional evaluation is saved; ComfyUI's test."""
    return math.isclose(scale, 1.0)
