"""The three attentions of the video DiT: linear, softmax, and cross-attention to text.

Tokens come as `[B, F, H, W, C]` and are attended to over all F * H * W of them, or over fewer when a merge
(`merging.py`) stands for several with one.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import RMSNorm
from .merging import MergedTokens
from .rope import apply_rope


class LinearAttention(nn.Module):
    """ReLU linear attention (LiteLA of SANA) with RoPE before the ReLU, as MobileI2V has it.

        o_n = sum_m v_m (phi(k_m) . phi(q_n)) / (sum_m phi(k_m) . phi(q_n) + 1e-8),   phi = ReLU(RoPE(.))

    Queries and keys are RMS-normalised over the full width before the heads are split. Computed in float32:
    both sums run over every token. A merged token counts in them as often as the tokens it stands for.
    """

    def __init__(self, width: int, heads: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.heads = heads
        self.qkv = operations.Linear(width, 3 * width, bias=False, **factory)
        self.q_norm = RMSNorm(width, **factory)
        self.k_norm = RMSNorm(width, **factory)
        self.proj = operations.Linear(width, width, **factory)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None = None) -> Tensor:
        tokens, cos, sin = merged_inputs(x, cos, sin, merge)
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        q, k, v = (split_heads(y, self.heads).float() for y in (self.q_norm(q), self.k_norm(k), v))
        cos, sin = cos.float(), sin.float()
        q, k = apply_rope(q, cos, sin).relu(), apply_rope(k, cos, sin).relu()
        if merge is not None and merge.sizes is not None:
            k = k * merge.sizes[:, None, :, None]
        summary = k.transpose(-1, -2) @ v  # [B, h, D, D]
        weight = q @ k.sum(dim=-2, keepdim=True).transpose(-1, -2)  # [B, h, N, 1]
        out = (q @ summary) / (weight + 1e-8)
        return unmerged(self.proj(join_heads(out).to(x.dtype)), x, merge)


class SoftmaxAttention(nn.Module):
    """Scaled dot-product attention with RoPE, qkv bias and no query-key norm."""

    def __init__(self, width: int, heads: int, operations: Any = nn, **factory: Any):
        super().__init__()
        self.heads = heads
        self.qkv = operations.Linear(width, 3 * width, bias=True, **factory)
        self.proj = operations.Linear(width, width, **factory)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None = None) -> Tensor:
        tokens, cos, sin = merged_inputs(x, cos, sin, merge)
        q, k, v = (split_heads(y, self.heads) for y in self.qkv(tokens).chunk(3, dim=-1))
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        bias = None if merge is None else merge.key_bias(q)
        out = F.scaled_dot_product_attention(
            apply_rope(q, cos, sin), apply_rope(k, cos, sin), v, attn_mask=bias
        )
        return unmerged(self.proj(join_heads(out)), x, merge)


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

    def forward(self, x: Tensor, context: Tensor, bias: Tensor, merge: MergedTokens | None = None) -> Tensor:
        tokens = x.flatten(1, 3)
        q = split_heads(self.q_linear(tokens if merge is None else merge.merge(tokens)), self.heads)
        k, v = (split_heads(y, self.heads) for y in self.kv_linear(context).chunk(2, dim=-1))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return unmerged(self.proj(join_heads(out)), x, merge)


def merged_inputs(
    x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens `[B, N, C]` and RoPE tables `[N, D]`, or those of the merged tokens."""
    tokens, cos, sin = x.flatten(1, 3), cos.flatten(0, 2), sin.flatten(0, 2)
    if merge is None:
        return tokens, cos, sin
    return merge.merge(tokens), *merge.rotation(cos, sin)


def unmerged(out: Tensor, x: Tensor, merge: MergedTokens | None) -> Tensor:
    """An attention's output `[B, M, C]` in the shape of its input `[B, F, H, W, C]`."""
    return (out if merge is None else merge.unmerge(out)).view_as(x)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`[B, N, C]` to `[B, h, N, D]`."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """`[B, h, N, D]` to `[B, N, C]`."""
    return x.transpose(1, 2).flatten(2)
