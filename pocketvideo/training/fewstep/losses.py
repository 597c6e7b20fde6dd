"""The sums that few-step students are trained by, over tokens that are made (`free`), never given ones.

Pure functions of tensors; which networks they belong to is the objectives' matter.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def token_mean(values: Tensor, free: Tensor) -> Tensor:
    """Mean over the made tokens of `values [B, F, H, W]`, where `free [B, F]` is 1."""
    weights = free[:, :, None, None].to(values).expand_as(values)
    return (values * weights).sum() / weights.sum().clamp_min(1)


def pseudo_huber(predicted: Tensor, target: Tensor, free: Tensor, paired: Tensor, c: float) -> Tensor:
    """sqrt(|d|^2 / C + c^2) - c of every latent cell's difference d (SF-V, 2406.04324; SnapGen-V).

    Latents are `[B, C, F, H, W]`; `paired [B]` is 0 for clips that have no target.
    """
    distance = ((predicted - target).square().mean(1) + c * c).sqrt() - c
    return token_mean(distance, free * paired[:, None])


def hinge_real(logits: Tensor, free: Tensor) -> Tensor:
    """max(0, 1 - D(real)), mean over tokens: half of the discriminator's hinge loss."""
    return token_mean(F.relu(1 - logits), free)


def hinge_fake(logits: Tensor, free: Tensor) -> Tensor:
    """max(0, 1 + D(fake)), mean over tokens: the other half."""
    return token_mean(F.relu(1 + logits), free)


def hinge_generator(logits: Tensor, free: Tensor) -> Tensor:
    """-D(fake), mean over tokens: what the generator minimises."""
    return token_mean(-logits, free)


def approximated_r1(logits: Tensor, disturbed: Tensor, free: Tensor) -> Tensor:
    """(D(x) - D(x + noise))^2: R1 without a second backward pass (APT, 2501.08316)."""
    return token_mean((logits - disturbed).square(), free)


def logit_normal(batch: int, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Times `[B]` in (0, 1); a mean below 0 favours little noise."""
    return (torch.randn(batch, generator=generator) * std + mean).sigmoid()
