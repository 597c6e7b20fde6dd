"""STDiT3, the denoiser of Open-Sora 1.2 (hpcai-tech/OpenSora-STDiT-v3), at any size.

Spatial and temporal blocks take turns: one attends within every frame, the next within every position over
time; both read the caption by cross-attention. Adaptive norms are PixArt's adaLN-single. Key names are the
published ones, so a published state dict loads strictly. On-device Sora (arXiv 2502.04363) runs this network
on a phone.

Time is given per frame, where Open-Sora has two times and `x_mask`. The outputs agree except on frames of
time 0, which Open-Sora's final layer normalises twice and its sampler throws away.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import CrossAttention, join_heads, split_heads
from .checkpoint import ModelFileError
from .denoiser import MASKED
from .layers import CaptionProjection, RMSNorm, ScalarEmbedder, layer_norm, modulate


@dataclass(frozen=True)
class STDiT3Config:
    """Dimensions of STDiT3; the defaults are STDiT3-XL/2 as published.

    Args:
        width: token width C, a multiple of 4 and of `2 * heads`.
        depth: number of spatial blocks, and of temporal blocks.
        heads: attention heads; queries and keys are RMS-normalised per head.
        mlp_ratio: hidden width of the feed-forward over C.
        in_channels: latent channels.
        pred_sigma: the network also predicts a variance, which samplers leave out; it doubles the outputs.
        caption_channels: width of the text encoder's output.
        caption_tokens: rows of the learned null caption.
        patch: height and width of a patch in latent cells; a patch holds one frame.
        input_sq_size: side in pixels of the square clips for which positions are not rescaled.
        pixels_per_cell: pixels per latent cell along height and width.
    """

    width: int = 1152
    depth: int = 28
    heads: int = 16
    mlp_ratio: float = 4.0
    in_channels: int = 4
    pred_sigma: bool = True
    caption_channels: int = 4096
    caption_tokens: int = 300
    patch: int = 2
    input_sq_size: int = 512
    pixels_per_cell: int = 8

    def __post_init__(self) -> None:
        if self.width % 4 or self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} with {self.heads} heads leaves no pairs for the positions: choose a "
                "width that is a multiple of 4 and of 2 * heads."
            )

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def out_channels(self) -> int:
        return self.in_channels * (2 if self.pred_sigma else 1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


STDIT3_XL2 = STDiT3Config()


class STDiT3Start(NamedTuple):
    """What travels between the pieces; h and w are patches, rounded up."""

    tokens: Tensor  # [B, F, h, w, C]
    modulation: Tensor  # [B, F, 1, 1, 6C]
    time_embed: Tensor  # [B, F, 1, 1, C]
    cos: Tensor  # [F, D]
    sin: Tensor  # [F, D]
    context: Tensor  # [B, L, C]
    context_bias: Tensor  # [B, 1, 1, L]


class Attention(nn.Module):
    """Softmax attention over the second axis of `[N, S, C]`, queries and keys RMS-normalised per head."""

    def __init__(self, config: STDiT3Config, **factory: Any):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, **factory)
        self.q_norm = RMSNorm(config.head_dim, eps=1e-6, **factory)
        self.k_norm = RMSNorm(config.head_dim, eps=1e-6, **factory)
        self.proj = nn.Linear(config.width, config.width, **factory)

    def forward(self, x: Tensor, cos: Tensor | None = None, sin: Tensor | None = None) -> Tensor:
        """`cos` and `sin` `[S, D]` turn queries and keys after their norm."""
        q, k, v = (split_heads(y, self.heads) for y in self.qkv(x).chunk(3, dim=-1))
        q, k = self.q_norm(q), self.k_norm(k)
        if cos is not None and sin is not None:
            q, k = (y * cos.to(y) + rotate_pairs(y) * sin.to(y) for y in (q, k))
        return self.proj(join_heads(F.scaled_dot_product_attention(q, k, v)))


class FeedForward(nn.Module):
    """Linear, GELU (tanh), linear."""

    def __init__(self, width: int, hidden: int, **factory: Any):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden, **factory)
        self.fc2 = nn.Linear(hidden, width, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class STDiT3Block(nn.Module):
    """x += gate1 * Attn(mod(LN(x))); x += CrossAttn(x, text); x += gate2 * MLP(mod(LN(x))).

    A temporal block attends along time at every position, a spatial one along positions in every frame.
    """

    def __init__(self, config: STDiT3Config, temporal: bool, **factory: Any):
        super().__init__()
        width = config.width
        self.temporal = temporal
        self.scale_shift_table = nn.Parameter(torch.randn(6, width, **factory) / width**0.5)
        self.attn = Attention(config, **factory)
        self.cross_attn = CrossAttention(width, config.heads, **factory)
        self.mlp = FeedForward(width, int(width * config.mlp_ratio), **factory)

    def forward(
        self,
        tokens: Tensor,
        modulation: Tensor,
        context: Tensor,
        context_bias: Tensor,
        cos: Tensor | None = None,
        sin: Tensor | None = None,
    ) -> Tensor:
        table = self.scale_shift_table.to(modulation).flatten()
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + table).chunk(6, dim=-1)
        tokens = tokens + gate1 * self._attend(modulate(layer_norm(tokens), shift1, scale1), cos, sin)
        tokens = tokens + self.cross_attn(tokens, context, context_bias)
        return tokens + gate2 * self.mlp(modulate(layer_norm(tokens), shift2, scale2))

    def _attend(self, x: Tensor, cos: Tensor | None, sin: Tensor | None) -> Tensor:
        batch, frames, height, width, channels = x.shape
        if not self.temporal:
            return self.attn(x.reshape(batch * frames, height * width, channels)).view_as(x)
        series = x.reshape(batch, frames, height * width, channels).transpose(1, 2)
        out = self.attn(series.reshape(batch * height * width, frames, channels), cos, sin)
        return out.reshape(batch, height * width, frames, channels).transpose(1, 2).reshape(x.shape)


class PatchEmbed3D(nn.Module):
    """Patches of one frame by a convolution; what they do not divide is padded with zeros at its end."""

    def __init__(self, config: STDiT3Config, **factory: Any):
        super().__init__()
        self.patch = config.patch
        size = (1, config.patch, config.patch)
        self.proj = nn.Conv3d(config.in_channels, config.width, size, stride=size, **factory)

    def forward(self, latent: Tensor) -> Tensor:
        """`[B, C, F, H, W]` to tokens `[B, F, h, w, width]`."""
        # A whole patch less one: the convolution leaves out what does not fill a patch.
        more = self.patch - 1
        return self.proj(F.pad(latent, (0, more, 0, more))).permute(0, 2, 3, 4, 1)


class Rotary(nn.Module):
    """Rotary positions over time (RoFormer); the frequencies are a parameter of the published file."""

    def __init__(self, head_dim: int, **factory: Any):
        super().__init__()
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
        self.freqs = nn.Parameter((10000.0**-exponents).to(**factory), requires_grad=False)

    def forward(self, frames: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines `[F, D]` of neighbours in pairs, float32."""
        positions = torch.arange(frames, dtype=torch.float32, device=self.freqs.device)
        angles = positions[:, None] * self.freqs.float()
        angles = torch.stack((angles, angles), dim=-1).flatten(1)
        return angles.cos(), angles.sin()


class FinalLayer(nn.Module):
    """LN, modulated by the time alone, then a linear layer to the values of a patch."""

    def __init__(self, config: STDiT3Config, **factory: Any):
        super().__init__()
        values = config.patch**2 * config.out_channels
        self.linear = nn.Linear(config.width, values, **factory)
        self.scale_shift_table = nn.Parameter(torch.randn(2, config.width, **factory) / config.width**0.5)

    def forward(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        table = self.scale_shift_table.to(time_embed)
        return self.linear(modulate(layer_norm(tokens), table[0] + time_embed, table[1] + time_embed))


class STDiT3(nn.Module):
    """What Open-Sora's rectified flow predicts, x0 - noise, on latents `[B, C, F, H, W]` of its VAE.

    Args:
        config: dimensions.
        factory: `device` and `dtype` of the parameters.
    """

    def __init__(self, config: STDiT3Config, **factory: Any):
        super().__init__()
        self.config = config
        width = config.width
        self.rope = Rotary(config.head_dim, **factory)
        self.x_embedder = PatchEmbed3D(config, **factory)
        self.t_embedder = ScalarEmbedder(width, **factory)
        self.fps_embedder = ScalarEmbedder(width, **factory)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width, **factory))
        self.y_embedder = CaptionProjection(config.caption_channels, width, config.caption_tokens, **factory)
        self.spatial_blocks = nn.ModuleList(
            STDiT3Block(config, temporal=False, **factory) for _ in range(config.depth)
        )
        self.temporal_blocks = nn.ModuleList(
            STDiT3Block(config, temporal=True, **factory) for _ in range(config.depth)
        )
        self.final_layer = FinalLayer(config, **factory)

    def forward(
        self, latent: Tensor, timestep: Tensor, context: Tensor, context_mask: Tensor | None, fps: Tensor
    ) -> Tensor:
        """`[B, C or 2C, F, H, W]`: x0 - noise, and with `pred_sigma` the variance after it.

        Args:
            latent: `[B, C, F, H, W]`, x_t = (1 - t) x0 + t noise.
            timestep: 1000 t, `[B]`, or `[B, F]` when frames differ (0 on given frames).
            context: features of T5-XXL `[B, L, D]`; the learned null caption is `y_embedder.y_embedding`.
            context_mask: `[B, L]`, 1 for words and 0 for padding; None keeps all.
            fps: frames per second `[B]`.
        """
        start = self.prologue(latent, timestep, context, context_mask, fps)
        tokens = start.tokens
        text = (start.modulation, start.context, start.context_bias)
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            tokens = temporal(spatial(tokens, *text), *text, start.cos, start.sin)
        return self.epilogue(tokens, start.time_embed, latent)

    def prologue(
        self, latent: Tensor, timestep: Tensor, context: Tensor, context_mask: Tensor | None, fps: Tensor
    ) -> STDiT3Start:
        """Everything that is computed once per evaluation."""
        batch, _, frames, _, _ = latent.shape
        dtype = latent.dtype
        time = timestep[:, None] if timestep.ndim == 1 else timestep
        time = time.expand(batch, frames)[:, :, None, None]
        time_embed = self.t_embedder(time, dtype) + self.fps_embedder(fps[:, None, None, None], dtype)
        cos, sin = self.rope(frames)
        keep = context.new_ones(context.shape[:2]) if context_mask is None else context_mask.to(dtype)
        patches = self.x_embedder(latent)
        positions = sincos_2d(patches, latent, self.config)
        return STDiT3Start(
            patches + positions,
            self.t_block(time_embed),
            time_embed,
            cos,
            sin,
            self.y_embedder(context),
            ((1 - keep) * MASKED)[:, None, None, :],
        )

    def epilogue(self, tokens: Tensor, time_embed: Tensor, latent: Tensor) -> Tensor:
        """Tokens `[B, F, h, w, C]` to an output of the latent's frames, height and width."""
        batch, frames, height, width, _ = tokens.shape
        patch = self.config.patch
        values = self.final_layer(tokens, time_embed)
        cells = values.view(batch, frames, height, width, patch, patch, self.config.out_channels)
        out = cells.permute(0, 6, 1, 2, 4, 3, 5).reshape(batch, -1, frames, height * patch, width * patch)
        return out[..., : latent.shape[3], : latent.shape[4]]


def rotate_pairs(x: Tensor) -> Tensor:
    """(a, b) to (-b, a) for neighbours along the last axis."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)


def sincos_2d(patches: Tensor, latent: Tensor, config: STDiT3Config) -> Tensor:
    """Sinusoidal positions `[h, w, C]` of a grid of patches: columns in the first half of C, rows after.

    The grid is stretched onto a square with as many patches, and by the clip's size in pixels against
    `input_sq_size` (Open-Sora's `PositionEmbedding2D` with `base_size` and `scale`).
    """
    height, width = patches.shape[2], patches.shape[3]
    # Counted, not multiplied: an exporter follows the shape of a tensor better than a root of its sizes, and
    # coremltools 9.0 cannot round a constant without axes.
    count = patches.new_ones((height, width), dtype=torch.float32).sum((0, 1), keepdim=True)
    cells = latent.new_ones(latent.shape[3:], dtype=torch.float32).sum((0, 1), keepdim=True)
    pixels = cells.sqrt() * config.pixels_per_cell
    side = count.sqrt().round() * config.input_sq_size / pixels
    half = config.width // 2
    exponents = torch.arange(0, half, 2, dtype=torch.float32, device=patches.device) / half
    frequencies = torch.exp(exponents * -math.log(10000.0))

    def table(length: int) -> Tensor:
        places = torch.arange(length, dtype=torch.float32, device=patches.device)[:, None] * (side / length)
        angles = places * frequencies
        return torch.cat((angles.sin(), angles.cos()), dim=-1)

    columns, rows = table(width)[None], table(height)[:, None]
    shape = (height, width, half)
    return torch.cat((columns.expand(shape), rows.expand(shape)), dim=-1).to(patches.dtype)


def load_stdit3(path: str | Path, config: STDiT3Config = STDIT3_XL2) -> STDiT3:
    """Read published weights strictly by their key names, in float32. Raises ModelFileError."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelFileError(
            f"'{path.name}' is not a safetensors file; only those are loaded, because they hold no code."
        )
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file '{path}'.") from error
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"'{path.name}' cannot be read as safetensors ({error}); fetch it again."
        ) from error
    with torch.device("meta"):
        network = STDiT3(config)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelFileError(f"'{path.name}' does not fit STDiT3: {error}") from error
    return network.eval().requires_grad_(False)
