"""Reference sampling in torch: Euler on a rectified flow, guidance, a clean first frame.

ComfyUI's samplers and the device's engine do the same arithmetic on their own; this one trains, measures and
judges them. It knows nothing about either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .checkpoint import PocketModel


def shifted_sigmas(steps: int, shift: float) -> Tensor:
    """`steps + 1` sigmas from 1 to 0: t' = a t / (1 + (a - 1) t) of even t (SD3, eq. 23)."""
    t = torch.linspace(1, 0, steps + 1)
    return shift * t / (1 + (shift - 1) * t)


@torch.no_grad()
def sample_euler(
    velocity: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    sigmas: Tensor,
    first_frame: Tensor | None = None,
) -> Tensor:
    """Integrate dx/dt = v from sigma 1 to 0 by Euler's method.

    Args:
        velocity: `(x [B, C, F, H, W], timestep [B, F]) -> v`.
        noise: `[B, C, F, H, W]`.
        sigmas: falling from 1 to 0.
        first_frame: clean latents `[B, C, 1, H, W]` of a given first frame: it stays clean in every step and
            its tokens see time 0 (MobileI2V).
    """
    x = noise.clone()
    times = torch.ones(x.shape[0], x.shape[2], device=x.device)
    if first_frame is not None:
        times[:, 0] = 0
        x[:, :, :1] = first_frame
    for sigma, following in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        x = x + (following - sigma) * velocity(x, times * sigma)
        if first_frame is not None:
            x[:, :, :1] = first_frame
    return x


@torch.no_grad()
def sample_renoise(
    velocity: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    sigmas: Tensor,
    seed: int,
    first_frame: Tensor | None = None,
) -> Tensor:
    """Few-step sampling with fresh noise (SF-V, DMD2): x0 = x - sigma v, then (1 - sigma') x0 + sigma' noise.

    Arguments as of `sample_euler`. The noise of every step is the next draw of a CPU generator seeded with
    `seed` + 1, as ComfyUI's lcm draws it on a CPU, and as the device's engine does.
    """
    generator = torch.Generator().manual_seed(seed + 1)
    times = torch.ones(noise.shape[0], noise.shape[2], device=noise.device)
    x = noise.clone()
    if first_frame is not None:
        times[:, 0] = 0
        x[:, :, :1] = first_frame
    for sigma, following in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
        x = x - sigma * velocity(x, times * sigma)
        if following > 0:
            fresh = torch.randn(x.shape, generator=generator).to(x)
            x = (1 - following) * x + following * fresh
        if first_frame is not None:
            x[:, :, :1] = first_frame
    return x


@torch.no_grad()
def generate(
    model: PocketModel,
    prompts: list[str],
    *,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    motion: list[float] | None = None,
    first_frames: Tensor | None = None,
    shift: float | None = None,
    sigmas: Tensor | None = None,
    renoise: bool = False,
) -> Tensor:
    """Videos `[B, 3, T, H, W]` in [-1, 1] for prompts, of the model's default size.

    Args:
        guidance: classifier-free guidance scale; 1 evaluates the network once a step.
        motion: motion score per prompt.
        first_frames: pixels `[B, 3, H, W]` in [-1, 1] of given first frames, or None.
        sigmas: a schedule of its own, falling from 1 to 0; else even steps, shifted.
        renoise: `sample_renoise` instead of Euler's method, for few-step students.
    """
    defaults = model.defaults
    steps = steps or defaults["steps"]
    guidance = defaults["guidance"] if guidance is None else guidance
    shift = defaults["shift"] if shift is None else shift
    vae, batch = model.vae, len(prompts)
    shape = (
        batch,
        vae.latent_channels,
        vae.latent_frames(defaults["frames"]),
        defaults["height"] // vae.spatial_compression,
        defaults["width"] // vae.spatial_compression,
    )
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    context, mask = model.encode_text(prompts + [""] * batch)
    scores = torch.tensor(motion or [defaults["motion"]] * batch, dtype=torch.float32)

    def velocity(x: Tensor, times: Tensor) -> Tensor:
        if guidance == 1:
            return model.denoiser(x, times, context[:batch], mask[:batch], scores)
        both = model.denoiser(x.repeat(2, 1, 1, 1, 1), times.repeat(2, 1), context, mask, scores.repeat(2))
        asked, unasked = both.chunk(2)
        return unasked + guidance * (asked - unasked)

    first = None if first_frames is None else vae.encode(first_frames[:, :, None])
    schedule = shifted_sigmas(steps, shift) if sigmas is None else sigmas
    if renoise:
        return vae.decode(sample_renoise(velocity, noise, schedule, seed, first))
    return vae.decode(sample_euler(velocity, noise, schedule, first))
