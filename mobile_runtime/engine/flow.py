"""From a network's velocity to a finished latent: ComfyUI's KSampler for a rectified flow (CONST), in numpy.

Noise goes in as sigma noise + (1 - sigma) latent; the network predicts v = noise - x0, so x0 = x - sigma v.
A given first frame follows ComfyUI's inpainting with a mask of 0 on frame 0: the network sees it clean with
timestep 0 (MobileI2V, per-token time), x0 holds it after every evaluation, and so the sampler carries it to
the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from . import guidance
from .leap import LeapConfig
from .leaping import sample_with_leap
from .renoising import NAME, renoising
from .samplers import SAMPLERS, Callback


@dataclass(frozen=True)
class TextFeatures:
    """What a prompt becomes: context `[B, L, D]` and mask `[B, L]`, both float32; 1 keeps a token."""

    context: np.ndarray
    mask: np.ndarray


# (latent [B,C,F,H,W], timestep [B,F], texts) -> for each text a velocity [B,C,F,H,W]
Velocities = Callable[[np.ndarray, np.ndarray, Sequence[TextFeatures]], list[np.ndarray]]


@dataclass(frozen=True)
class Conditions:
    """What a denoise op is given besides noise and schedule.

    `first_frame` is a latent `[B, C, 1, H, W]`. `latent` `[B, C, F, H, W]` is what is denoised, from
    the middle of a schedule; with `keep_first_frame` its own frame 0 is the one that is held.
    """

    positive: TextFeatures
    negative: TextFeatures | None
    scale: float
    first_frame: np.ndarray | None = None
    latent: np.ndarray | None = None
    keep_first_frame: bool = False
    multiplier: float = 1.0
    batched: bool = False

    @property
    def first_frame_given(self) -> bool:
        """True when frame 0 is held instead of made."""
        return self.first_frame is not None or self.keep_first_frame


class FlowModel:
    """`model(x, sigma) -> x0` for samplers, counting network evaluations in `evaluations`."""

    def __init__(self, velocities: Velocities, conditions: Conditions, shape: tuple[int, ...]) -> None:
        """Precompute the mask and the clean latent for x of this shape."""
        self._velocities = velocities
        self._conditions = conditions
        self.evaluations = 0
        self.latent_image = np.zeros(shape, np.float32) if conditions.latent is None else conditions.latent
        self.mask = np.ones((1, 1, shape[2], 1, 1), np.float32)
        if conditions.first_frame is not None:
            self.mask[:, :, 0] = 0
            self.latent_image[:, :, :1] = conditions.first_frame
        elif conditions.keep_first_frame:
            self.mask[:, :, 0] = 0

    @property
    def guided(self) -> bool:
        """True when a step takes a second, unconditional evaluation."""
        return self._conditions.negative is not None and not guidance.is_off(self._conditions.scale)

    def __call__(self, x: np.ndarray, sigma: np.float32) -> np.ndarray:
        """Denoised latent for x at sigma."""
        keep = 1 - self.mask
        x = x * self.mask + self.latent_image * keep
        denoised = (
            self._guided_denoise(x, sigma)
            if self.guided
            else self._denoise(x, sigma, self._conditions.positive)
        )
        return denoised * self.mask + self.latent_image * keep

    def _guided_denoise(self, x: np.ndarray, sigma: np.float32) -> np.ndarray:
        positive, negative = self._conditions.positive, self._conditions.negative
        assert negative is not None
        if self._conditions.batched and positive.context.shape == negative.context.shape:
            both = TextFeatures(
                np.concatenate([positive.context, negative.context]),
                np.concatenate([positive.mask, negative.mask]),
            )
            first, second = np.split(self._denoise(np.concatenate([x, x]), sigma, both), 2)
            # One call, twice the work: counted as what it costs.
            self.evaluations += 1
        else:
            # Both at once, so that a network that is streamed is fetched once.
            first, second = self._denoise_each(x, sigma, [positive, negative])
        return guidance.combine(first, second, self._conditions.scale)

    def _denoise(self, x: np.ndarray, sigma: np.float32, text: TextFeatures) -> np.ndarray:
        return self._denoise_each(x, sigma, [text])[0]

    def _denoise_each(
        self, x: np.ndarray, sigma: np.float32, texts: Sequence[TextFeatures]
    ) -> list[np.ndarray]:
        time = sigma * np.float32(self._conditions.multiplier) * self.mask[0, 0, :, 0, 0]
        timestep = np.broadcast_to(time.astype(np.float32), (x.shape[0], x.shape[2]))
        self.evaluations += len(texts)
        return [x - velocity * sigma for velocity in self._velocities(x, timestep, texts)]


def sample(
    model: FlowModel,
    noise: np.ndarray | None,
    sigmas: np.ndarray,
    sampler: str,
    callback: Callback,
    leap: LeapConfig | None = None,
    renoise_seed: int = 0,
) -> tuple[np.ndarray, int | None]:
    """Run a sampler from noise `[B, C, F, H, W]` along sigmas; the latent, and the step that it leapt at.

    No noise is noise of zeros: a latent that still holds its own goes on. An empty schedule gives what there
    was before: the latent, else zeros, and the first frame where one is given. `renoise_seed` is read by the
    sampler that adds fresh noise alone.
    """
    if len(sigmas) == 0:
        return model.latent_image, None
    x = (1 - sigmas[0]) * model.latent_image
    if noise is not None:
        x = sigmas[0] * noise + x
    chosen = renoising(renoise_seed, x.shape) if sampler == NAME else SAMPLERS[sampler]
    if leap is None:
        x, step = chosen(model, x, sigmas, callback), None
    else:
        x, step = sample_with_leap(chosen, leap, model, x, sigmas, callback)
    return x / (1 - sigmas[-1]), step
