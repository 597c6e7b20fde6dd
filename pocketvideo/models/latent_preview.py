"""A linear map from latents to colours, for a preview that costs nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from .vae import PocketVAE


@torch.no_grad()
def fit_latent_rgb(vae: PocketVAE, seed: int = 0, cells: int = 4) -> tuple[list[list[float]], list[float]]:
    """Least squares from a latent cell to the mean colour of the pixels it decodes to.

    Random latents of unit scale are decoded as single frames, four equations per unknown.

    Returns:
        Factors, one `[r, g, b]` per latent channel, and the bias `[r, g, b]`; colours in [-1, 1].
    """
    channels = vae.latent_channels
    parameter = next(vae.parameters())
    clips = max(1, -(-4 * (channels + 1) // cells**2))
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((clips, channels, 1, cells, cells), generator=generator)
    colours = []
    for latent in latents.split(1):
        frame = vae.decode(latent.to(parameter))[:, :, 0]
        colours.append(torch.nn.functional.adaptive_avg_pool2d(frame, cells).float().cpu())
    return solve_latent_rgb(latents, torch.cat(colours)[:, :, None])


def solve_latent_rgb(latents: Tensor, colours: Tensor) -> tuple[list[list[float]], list[float]]:
    """Least squares from latents `[B, C, F, h, w]` to mean colours `[B, 3, F, h, w]`: factors and bias."""
    x = latents.movedim(1, -1).flatten(0, 3)
    y = colours.movedim(1, -1).flatten(0, 3)
    solution = torch.linalg.lstsq(torch.cat((x, torch.ones(len(x), 1)), dim=1), y).solution
    return solution[:-1].tolist(), solution[-1].tolist()
