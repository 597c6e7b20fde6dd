"""Softmax attention as exported blocks of published networks need it: within five axes, of any size."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.attention import join_heads, split_heads

# What diffusers adds to the scores of a masked word; it is zero after the softmax, and fits half precision.
MASKED = -10000.0


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of `[B, N, C]` to `[B, L, C]`; `bias` `[B, 1, 1, L]` joins the scores."""
    q, k, v = (split_heads(value, heads) for value in (q, k, v))
    return join_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=bias))


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: neighbours (a, b) of the last axis turn by an angle; tables have half its length."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)


def bias_of(mask: Tensor) -> Tensor:
    """A mask `[B, L]`, 1 for words and 0 for padding, as what is added to attention's scores."""
    return ((1 - mask) * MASKED)[:, None, None, :]
