"""Few-step sampling in ComfyUI: the re-noising sampler, and what a MODEL's card says."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...pocketvideo.few_step import CHOICES, FROM_MODEL, KNOWN, ODE, Card, NotAStudent

# A ModelPatcher's attachment: the Card of the student that it holds.
ATTACHMENT = "pocketvideo_few_step"


def sample_renoise(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
) -> Tensor:
    """Predict the clean latent, add fresh noise of the next sigma, repeat (SF-V 2406.04324, DMD2 2405.14867).

    The noise of every step is the next draw of a CPU generator seeded with seed + 1: what ComfyUI's lcm draws
    on a CPU, on every machine, so that a paired device draws the same.
    """
    extra_args = extra_args or {}
    seed = (int(extra_args.get("seed") or 0) + 1) % 2**64
    generator = torch.Generator().manual_seed(seed)
    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    ones = x.new_ones([x.shape[0]])
    for step in range(len(sigmas) - 1):
        denoised = model(x, sigmas[step] * ones, **extra_args)
        if callback is not None:
            callback(
                {
                    "x": x,
                    "i": step,
                    "sigma": sigmas[step],
                    "sigma_hat": sigmas[step],
                    "denoised": denoised,
                }
            )
        x = denoised
        if sigmas[step + 1] > 0:
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x)
            x = sampling.noise_scaling(sigmas[step + 1], noise, x)
    return x


def renoise_sampler() -> Any:
    """A SAMPLER of fresh noise."""
    return comfy.samplers.KSAMPLER(sample_renoise)


def deterministic_sampler() -> Any:
    """A SAMPLER without fresh noise: ComfyUI's euler."""
    return comfy.samplers.ksampler("euler")


def card_of(model: Any) -> Card:
    """The card of a MODEL; raises NotAStudent where it carries none."""
    card = None if model is None else model.get_attachment(ATTACHMENT)
    if not isinstance(card, Card):
        what = "No model is linked" if model is None else "The linked model is no student with a card"
        raise NotAStudent(
            f"{what}, so nothing says how it is sampled: link a few-step model of Load Pocket Video Model, "
            "or choose what it is from the list."
        )
    return card


def known_sigmas(name: str, model: Any) -> Tensor:
    """The sigmas of a known public student; for one by timesteps, as the linked model maps them."""
    known = KNOWN[name]
    if known.sigmas:
        return torch.tensor(known.sigmas)
    if model is None:
        raise NotAStudent(f"{name} is given in timesteps: link the model, which turns them into sigmas.")
    sampling = model.get_model_object("model_sampling")
    # A flow counts its timesteps up to its own multiplier, a diffusion model up to 1000.
    scale = getattr(sampling, "multiplier", 1000.0) / 1000.0
    sigmas = [float(sampling.sigma(torch.tensor(float(t)) * scale)) for t in known.timesteps]
    return torch.tensor([*sigmas, 0.0])


def sampler_for(choice: str, model: Any) -> Any:
    """The SAMPLER of a choice: `as the model says`, `fresh noise` or `deterministic`."""
    sampling = card_of(model).sampling if choice == FROM_MODEL else CHOICES[choice]
    return deterministic_sampler() if sampling == ODE else renoise_sampler()
