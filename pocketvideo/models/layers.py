"""Small parts of the video DiT: norms, embedders, the gated convolutional feed-forward.

Every layer class comes from an `operations` namespace (torch.nn by default), so that a host such as
ComfyUI can pass its own, which cast and offload weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """Root mean square norm over the last axis, computed in float32."""

    def __init__(self, width: int, eps: float = 1e-5, **factory: Any):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width, **factory))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * self.weight.to(wide)).to(x.dtype)


def layer_norm(x: Tensor) -> Tensor:
    """LayerNorm without affine, eps 1e-6, over the last axis."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class ScalarEmbedder(nn.Module):
    """A number to a vector: 256-d sinusoid -> Linear -> SiLU -> Linear (DiT's timestep embedder)."""

    FREQUENCIES = 256

    def __init__(self, width: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.mlp = nn.Sequential(
            operations.Linear(self.FREQUENCIES, width, **factory),
            nn.SiLU(),
            operations.Linear(width, width, **factory),
        )

    def forward(self, value: Tensor, dtype: torch.dtype) -> Tensor:
        """`[...]` to `[..., C]`."""
        half = self.FREQUENCIES // 2
        steps = torch.arange(half, dtype=torch.float32, device=value.device)
        angles = value.float()[..., None] * torch.exp(steps * (-math.log(10000.0) / half))
        return self.mlp(torch.cat((angles.cos(), angles.sin()), dim=-1).to(dtype))


class Pointwise(nn.Module):
    """A 1x1 convolution, kept under the key names of a convolution and run as a linear layer.

    A linear layer over the last axis needs no transposes, runs faster on a CPU and can be quantised to
    4 bits (facts: 31 against 44 ms a block in onnxruntime). Convolution-shaped weights `[out, in, 1, 1]`
    are accepted when loading.
    """

    def __init__(self, n_in: int, n_out: int, bias: bool = True, operations: Any = nn, **factory: Any):
        super().__init__()
        self.conv = operations.Linear(n_in, n_out, bias=bias, **factory)
        self.register_load_state_dict_pre_hook(_flatten_convolution)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class PatchEmbed(nn.Module):
    """Patch size 1: every latent cell becomes a token. Key names as in MobileI2V (`x_embedder.proj`)."""

    def __init__(self, n_in: int, width: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.proj = operations.Linear(n_in, width, **factory)
        self.register_load_state_dict_pre_hook(_flatten_convolution)

    def forward(self, latent: Tensor) -> Tensor:
        """`[B, C, F, H, W]` to tokens `[B, F, H, W, width]`."""
        return self.proj(latent.permute(0, 2, 3, 4, 1))


class Depthwise(nn.Module):
    """A 3x3 depthwise convolution of every frame by itself."""

    def __init__(self, width: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.conv = operations.Conv2d(width, width, 3, padding=1, groups=width, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, F, H, W, C]` to the same shape."""
        frames = x.flatten(0, 1).permute(0, 3, 1, 2)
        return self.conv(frames).permute(0, 2, 3, 1).unflatten(0, x.shape[:2])


class GLUMBConv(nn.Module):
    """SANA's gated mobile convolution, per frame: 1x1 -> SiLU -> depthwise 3x3 -> a * SiLU(b) -> 1x1."""

    def __init__(self, width: int, hidden: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.inverted_conv = Pointwise(width, 2 * hidden, operations=operations, **factory)
        self.depth_conv = Depthwise(2 * hidden, operations, **factory)
        self.point_conv = Pointwise(hidden, width, bias=False, operations=operations, **factory)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.depth_conv(F.silu(self.inverted_conv(x))).chunk(2, dim=-1)
        return self.point_conv(value * F.silu(gate))


class CaptionProjection(nn.Module):
    """Text features to token width: Linear -> GELU(tanh) -> Linear (`y_embedder.y_proj` of SANA).

    MobileI2V's checkpoint also carries the null caption it was trained with, as a buffer.
    """

    def __init__(self, text_width: int, width: int, null_tokens: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.y_proj = nn.ModuleDict(
            {
                "fc1": operations.Linear(text_width, width, **factory),
                "fc2": operations.Linear(width, width, **factory),
            }
        )
        if null_tokens:
            self.register_buffer("y_embedding", torch.zeros(null_tokens, text_width, **factory))

    def forward(self, context: Tensor) -> Tensor:
        return self.y_proj["fc2"](F.gelu(self.y_proj["fc1"](context), approximate="tanh"))


def _flatten_convolution(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for name in ("conv.weight", "proj.weight"):
        weight = state.get(prefix + name)
        if weight is not None and weight.ndim == 4 and weight.shape[2:] == (1, 1):
            state[prefix + name] = weight.flatten(1)
