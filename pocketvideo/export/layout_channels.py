"""Blocks whose tokens are channels-first: linear layers are 1x1 convolutions, norms run over axis 1.

Tokens travel as `[B, C, F, H, W]` and are `[B, C, F, H * W]` inside a block. The prologue turns the tokens,
the modulation and the tables of RoPE once per evaluation, and the epilogue turns the tokens back.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.attention import CrossAttention, LinearAttention, SoftmaxAttention
from ..models.denoiser import Block
from ..models.layers import Depthwise, RMSNorm
from .forms import TransposedLinear
from .layout_attention import EPSILON
from .stages import Axes

_FIRST = (0, 4, 1, 2, 3)
_LAST = (0, 2, 3, 4, 1)


def channel_axes(axes: Mapping[str, Axes]) -> dict[str, Axes]:
    """The axes of the activations between stages when channels come first."""
    made = dict(axes)
    for name in ("tokens", "modulation"):
        batch, *grid, width = axes[name].names
        made[name] = Axes((batch, width, *grid))
    for name in ("cos", "sin"):
        *grid, width = axes[name].names
        made[name] = Axes((width, *grid))
    return made


def channels_first(module: nn.Module, heads: str) -> nn.Module | None:
    """A stage of our denoiser in export form, channels-first; None for another module."""
    block = getattr(module, "block", None)
    if isinstance(block, Block):
        return _ChannelsBlock(ChannelsBlock(block, heads))
    if hasattr(module, "denoiser"):
        return _ChannelsPrologue(module)
    if hasattr(module, "final_layer") and hasattr(module.final_layer, "scale_shift_table"):
        return _ChannelsEpilogue(module)
    return None


class Pointwise(nn.Module):
    """A linear layer over axis 1 of `[B, C, F, S]`, as a 1x1 convolution."""

    def __init__(self, linear: TransposedLinear) -> None:
        super().__init__()
        weight = linear.weight.detach().t().contiguous()[:, :, None, None]
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)


class ChannelRMSNorm(nn.Module):
    """Root mean square norm over axis 1 of `[B, C, F, S]`, computed in float32."""

    def __init__(self, norm: RMSNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight = norm.weight

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(1, keepdim=True) + self.eps)
        return (wide * self.weight[:, None, None]).to(x.dtype)


class ChannelsLinear(nn.Module):
    """Linear attention over `[B, C, F, S]`; heads are rows of channels, so none is moved."""

    def __init__(self, source: LinearAttention, way: str) -> None:
        super().__init__()
        self.heads, self.way = source.heads, way
        self.qkv, self.proj = _pointwise(source.qkv), _pointwise(source.proj)
        self.q_norm, self.k_norm = ChannelRMSNorm(source.q_norm), ChannelRMSNorm(source.k_norm)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=1)
        q, k, v = (_heads(y, self.heads).float() for y in (self.q_norm(q), self.k_norm(k), v))
        q, k = _rope(q, cos, sin).relu(), _rope(k, cos, sin).relu()
        return self.proj(_by_heads(_linear, (q, k, v), self.way).reshape(x.shape).to(x.dtype))

    def extra_repr(self) -> str:
        return self.way


class ChannelsSoftmax(nn.Module):
    """Softmax attention over `[B, C, F, S]`."""

    def __init__(self, source: SoftmaxAttention, way: str) -> None:
        super().__init__()
        self.heads, self.way = source.heads, way
        self.qkv, self.proj = _pointwise(source.qkv), _pointwise(source.proj)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (_heads(y, self.heads) for y in self.qkv(x).chunk(3, dim=1))
        q, k = _rope(q, cos, sin) * q.shape[2] ** -0.5, _rope(k, cos, sin)
        return self.proj(_by_heads(_softmax, (q, k, v), self.way).reshape(x.shape))

    def extra_repr(self) -> str:
        return self.way


class TextAttention(nn.Module):
    """Attention of `[B, C, F, S]` to the text `[B, L, C]`, whose few tokens stay channels-last."""

    def __init__(self, source: CrossAttention, way: str) -> None:
        super().__init__()
        self.heads, self.way = source.heads, way
        self.q_linear, self.proj = _pointwise(source.q_linear), _pointwise(source.proj)
        self.kv_linear = source.kv_linear

    def forward(self, x: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        q = _heads(self.q_linear(x), self.heads)
        k, v = (
            y.transpose(1, 2).unflatten(1, (self.heads, -1)) for y in self.kv_linear(context).chunk(2, -1)
        )
        out = _by_heads(_softmax, (q * q.shape[2] ** -0.5, k, v), self.way, bias.to(q.dtype))
        return self.proj(out.reshape(x.shape))

    def extra_repr(self) -> str:
        return self.way


class ChannelsBlock(nn.Module):
    """`models.Block` with the same names of weights."""

    def __init__(self, block: Block, way: str) -> None:
        super().__init__()
        self.scale_shift_table = block.scale_shift_table
        self.attn = _self_attention(block.attn, way)
        if hasattr(block, "cross_attn"):
            self.cross_attn = TextAttention(block.cross_attn, way)
        self.mlp = block.mlp
        for part in (self.mlp.inverted_conv, self.mlp.point_conv):
            part.conv = _pointwise(part.conv)
        self.mlp.add_module("depth_conv", ChannelsDepthwise(block.mlp.depth_conv))

    def forward(
        self,
        tokens: Tensor,
        modulation: Tensor,
        cos: Tensor,
        sin: Tensor,
        context: Tensor | None = None,
        context_bias: Tensor | None = None,
    ) -> Tensor:
        x = tokens.flatten(3)
        table = self.scale_shift_table.flatten()[:, None, None]
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation.flatten(3) + table).chunk(6, dim=1)
        x = x + gate1 * self.attn(_layer_norm(x) * (1 + scale1) + shift1, cos.flatten(1), sin.flatten(1))
        if context is not None and context_bias is not None:
            x = x + self.cross_attn(x, context, context_bias)
        y = self.mlp.inverted_conv(_layer_norm(x) * (1 + scale2) + shift2)
        value, gate = self.mlp.depth_conv(F.silu(y), tokens).chunk(2, dim=1)
        return (x + gate2 * self.mlp.point_conv(value * F.silu(gate))).view_as(tokens)


class ChannelsDepthwise(nn.Module):
    """A 3x3 depthwise convolution of every frame of `[B, C, F, H * W]`."""

    def __init__(self, source: Depthwise) -> None:
        super().__init__()
        self.conv = source.conv

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        frames, height, width = tokens.shape[2:]
        pictures = x.transpose(1, 2).reshape(batch * frames, channels, height, width)
        return self.conv(pictures).reshape(batch, frames, channels, height * width).transpose(1, 2)


class _ChannelsBlock(nn.Module):
    def __init__(self, block: ChannelsBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, *activations: Tensor) -> Tensor:
        out: Tensor = self.block(*activations)
        return out


class _ChannelsPrologue(nn.Module):
    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.denoiser = source.denoiser
        self.held = (type(source).forward,)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        tokens, modulation, time_embed, cos, sin, *text = self.held[0](self, *values)
        cos, sin = cos.permute(3, 0, 1, 2), sin.permute(3, 0, 1, 2)
        return (tokens.permute(_FIRST), modulation.permute(_FIRST), time_embed, cos, sin, *text)


class _ChannelsEpilogue(nn.Module):
    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.final_layer = source.final_layer
        self.held = (type(source).forward,)

    def forward(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        out: Tensor = self.held[0](self, tokens.permute(_LAST), time_embed)
        return out


def _self_attention(source: nn.Module, way: str) -> nn.Module:
    if isinstance(source, LinearAttention):
        return ChannelsLinear(source, way)
    if isinstance(source, SoftmaxAttention):
        return ChannelsSoftmax(source, way)
    raise TypeError(f"{type(source).__name__} has no form that is channels-first")


def _pointwise(linear: nn.Module) -> Pointwise:
    if not isinstance(linear, TransposedLinear):
        raise TypeError(f"{type(linear).__name__} is not a linear layer in export form")
    return Pointwise(linear)


def _layer_norm(x: Tensor) -> Tensor:
    """LayerNorm without affine, eps 1e-6, over axis 1."""
    centred = x - x.mean(1, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + 1e-6)


def _heads(x: Tensor, heads: int) -> Tensor:
    """`[B, C, F, S]` to `[B, h, D, N]`, which moves nothing."""
    return x.flatten(2).unflatten(1, (heads, -1))


def _rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate `[B, h, D, N]` by tables `[D, N]`, each third of D on its own."""
    parts = []
    for part in x.chunk(3, dim=2):
        first, second = part.chunk(2, dim=2)
        parts += [-second, first]
    return x * cos + torch.cat(parts, dim=2) * sin


def _by_heads(
    attend: Callable[..., Tensor], qkv: tuple[Tensor, Tensor, Tensor], way: str, *more: Tensor
) -> Tensor:
    """Attention over `[B, h, D, N]` at once, or for the heads one after another."""
    if way != "tiled":
        return attend(*qkv, way, *more)
    heads = zip(*(y.split(1, dim=1) for y in qkv), strict=True)
    return torch.cat([attend(*head, way, *more) for head in heads], dim=1)


def _linear(q: Tensor, k: Tensor, v: Tensor, way: str) -> Tensor:
    sums = k.sum(dim=-1)
    if way == "einsum":
        summary = torch.einsum("bhdn,bhen->bhed", k, v)
        weight = torch.einsum("bhdn,bhd->bhn", q, sums)
        return torch.einsum("bhed,bhdn->bhen", summary, q) / (weight[:, :, None] + EPSILON)
    return (v @ k.transpose(-1, -2)) @ q / (sums[:, :, None] @ q + EPSILON)


def _softmax(q: Tensor, k: Tensor, v: Tensor, way: str, bias: Tensor | None = None) -> Tensor:
    if way == "einsum":
        scores = torch.einsum("bhdn,bhdm->bhnm", q, k)
    else:
        scores = q.transpose(-1, -2) @ k
    weights = (scores if bias is None else scores + bias).softmax(dim=-1)
    if way == "einsum":
        return torch.einsum("bhdm,bhnm->bhdn", v, weights)
    return v @ weights.transpose(-1, -2)
