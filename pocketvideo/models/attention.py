"""The three attentions of the video DiT: linear, softmax, and cross-attention to text.

Tokens come as `[B, F, H, W, C]` and are attended to over all F * H * W of them.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import RMSNorm
from .rope import apply_rope


class LinearAttention(nn.Module):
    """ReLU linear attention (LiteLA of SANA) with RoPE before the ReLU, as MobileI2V has it.

        o_n = sum_m v_m (phi(k_m) . phi(q_n)) / (sum_m phi(k_m) . phi(q_n) + 1e-8),   phi = ReLU(RoPE(.))

    Queries and keys are RMS-normalised over the full width before the heads are split. Computed in float32:
    both sums run over every token.
    """

    def __init__(self, width: int, heads: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.heads = heads
        self.qkv = operations.Linear(width, 3 * width, bias=False, **factory)
        self.q_norm = RMSNorm(width, **factory)
        self.k_norm = RMSNorm(width, **factory)
        self.proj = operations.Linear(width, width, **factory)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = self.qkv(x.flatten(1, 3)).chunk(3, dim=-1)
        q, k, v = (split_heads(y, self.heads).float() for y in (self.q_norm(q), self.k_norm(k), v))
        cos, sin = cos.flatten(0, 2).float(), sin.flatten(0, 2).float()
        q, k = apply_rope(q, cos, sin).relu(), apply_rope(k, cos, sin).relu()
        summary = k.transpose(-1, -2) @ v  # [B, h, D, D]
        weight = q @ k.sum(dim=-2, keepdim=True).transpose(-1, -2)  # [B, h, N, 1]
        out = (q @ summary) / (weight + 1e-8)
        return self.proj(join_heads(out).to(x.dtype)).view_as(x)


class SoftmaxAttention(nn.Module):
    """Scaled dot-product attention with RoPE, qkv bias and no query-key norm."""

    def __init__(self, width: int, heads: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.heads = heads
        self.qkv = operations.Linear(width, 3 * width, bias=True, **factory)
        self.proj = operations.Linear(width, width, **factory)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (split_heads(y, self.heads) for y in self.qkv(x.flatten(1, 3)).chunk(3, dim=-1))
        cos, sin = cos.flatten(0, 2).to(q.dtype), sin.flatten(0, 2).to(q.dtype)
        out = F.scaled_dot_product_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v)
        return self.proj(join_heads(out)).view_as(x)


class CrossAttention(nn.Module):
    """Tokens attend to the text: queries from tokens, keys and values from `[B, L, C]` features.

    `bias` `[B, 1, 1, L]` is 0 for a word and a large negative number for padding. The output projection
    starts at zero, so that a fresh network ignores the text.
    """

    def __init__(self, width: int, heads: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.heads = heads
        self.q_linear = operations.Linear(width, width, **factory)
        self.kv_linear = operations.Linear(width, 2 * width, **factory)
        self.proj = operations.Linear(width, width, **factory)

    def forward(self, x: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        q = split_heads(self.q_linear(x.flatten(1, 3)), self.heads)
        k, v = (split_heads(y, self.heads) for y in self.kv_linear(context).chunk(2, dim=-1))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(join_heads(out)).view_as(x)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`[B, N, C]` to `[B, h, N, D]`."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """`[B, h, N, D]` to `[B, N, C]`."""
    return x.transpose(1, 2).flatten(2)
