"""Random weights that keep a network's signal at about its input's scale, so that every output is finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Parameters that are added to or scale a modulation: at full scale they would drown the rest.
SMALL = ("modulation", "scale_shift_table")


def randomise(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Seeded weights for `module`, float32: N(0, 1/fan_in) for matrices, 0 for biases, 1 for norms.

    Integer buffers keep their values. A private generator draws, in the order of `state_dict`.
    """
    generator = torch.Generator().manual_seed(seed)
    return {name: _values(name, value, generator) for name, value in module.state_dict().items()}


def _values(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    last = name.rsplit(".", 1)[-1]
    if not value.is_floating_point() or value.ndim == 0:
        return value.clone()
    if any(part in last for part in SMALL):
        return torch.randn(value.shape, generator=generator) * 0.1
    if last == "gamma":
        return torch.ones(value.shape)
    if value.ndim > 1:
        return torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5
    if last.endswith(("bias", "mean-of-means")):
        return torch.zeros(value.shape)
    return torch.ones(value.shape)
