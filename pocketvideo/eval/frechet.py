"""How far is one set of clips from another? A Frechet distance (as FVD, 1812.01717) on features of a VAE.

FVD's network was trained on people's actions and knows nothing of drawn shapes. Here a clip's features are
statistics of the latents that the demo model's frozen encoder makes of its pixels: per channel the mean and
the spread over places and times, and the mean absolute change from one latent frame to the next. No network
that a student is trained with gives them, and nothing is drawn at random.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.vae import PocketVAE


@torch.no_grad()
def clip_features(vae: PocketVAE, videos: Tensor, batch: int = 16) -> Tensor:
    """Features `[N, 3 C]` of clips `[N, 3, T, H, W]` in [-1, 1]; C are the latent's channels."""
    parts = []
    for some in videos.split(batch):
        latent = vae.encode(some.clamp(-1, 1))
        change = latent.diff(dim=2).abs().mean((2, 3, 4))
        parts.append(torch.cat((latent.mean((2, 3, 4)), latent.std((2, 3, 4)), change), dim=1))
    return torch.cat(parts).double()


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two sets of features `[N, D]`.

    Raises ValueError for a set of fewer than two clips.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("A Frechet distance needs two clips or more on either side.")
    means = (first.mean(0) - second.mean(0)).square().sum()
    one, two = first.T.cov(), second.T.cov()
    root = _square_root(one)
    # The trace of (S1 S2)^(1/2) is that of the symmetric (S1^(1/2) S2 S1^(1/2))^(1/2).
    shared = torch.linalg.eigvalsh(root @ two @ root).clamp_min(0).sqrt().sum()
    return float(means + one.trace() + two.trace() - 2 * shared)


def _square_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
