"""Attention with its heads one after another, or as einsums; the weights are those of `models/attention.py`.

Queries, keys and values stay `[B, N, C]` or `[B, N, h, D]`: neither form moves the head axis in memory, as
the batched products do.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..models.attention import CrossAttention, LinearAttention, SoftmaxAttention
from ..models.merging import MergedTokens
from ..models.rope import apply_rope

EPSILON = 1e-8


def with_heads(module: nn.Module, heads: str) -> nn.Module | None:
    """The module with its attentions in the form `tiled` or `einsum`, changed in place.

    None where a block has attention of another class.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, (LinearAttention, SoftmaxAttention, CrossAttention)):
            setattr(module, name, FORMS[type(child), heads](child))
        elif with_heads(child, heads) is None:
            return None
    return None if hasattr(module, "attn") and type(module.attn) not in _MADE else module


class _Linear(LinearAttention):
    """Linear attention on the layers of another one; a subclass, so that it is known as what it is."""

    def __init__(self, source: LinearAttention) -> None:
        nn.Module.__init__(self)
        self.heads = source.heads
        self.qkv, self.proj = source.qkv, source.proj
        self.q_norm, self.k_norm = source.q_norm, source.k_norm

    def projected(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys after RoPE and ReLU, and values, `[B, N, h, D]` in float32."""
        q, k, v = self.qkv(x.flatten(1, 3)).chunk(3, dim=-1)
        cos, sin = cos.flatten(0, 2)[:, None].float(), sin.flatten(0, 2)[:, None].float()
        q, k, v = (_split(y, self.heads).float() for y in (self.q_norm(q), self.k_norm(k), v))
        return apply_rope(q, cos, sin).relu(), apply_rope(k, cos, sin).relu(), v


class TiledLinear(_Linear):
    """Linear attention, a head at a time: `[B, N, D]`."""

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None = None) -> Tensor:
        _refuse(merge)

        def head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            weight = q @ k.sum(dim=-2, keepdim=True).transpose(-1, -2)
            return (q @ (k.transpose(-1, -2) @ v)) / (weight + EPSILON)

        out = _each_head(head, self.projected(x, cos, sin))
        return self.proj(out.to(x.dtype)).view_as(x)


class EinsumLinear(_Linear):
    """Linear attention as einsums over `[B, N, h, D]`."""

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None = None) -> Tensor:
        _refuse(merge)
        q, k, v = self.projected(x, cos, sin)
        summary = torch.einsum("bnhd,bnhe->bhde", k, v)
        weight = torch.einsum("bnhd,bhd->bnh", q, k.sum(dim=1))
        out = torch.einsum("bnhd,bhde->bnhe", q, summary) / (weight[..., None] + EPSILON)
        return self.proj(out.flatten(2).to(x.dtype)).view_as(x)


class _Softmax(SoftmaxAttention):
    def __init__(self, source: SoftmaxAttention) -> None:
        nn.Module.__init__(self)
        self.heads = source.heads
        self.qkv, self.proj = source.qkv, source.proj

    def projected(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys after RoPE, the queries scaled, and values, `[B, N, h, D]`."""
        q, k, v = (_split(y, self.heads) for y in self.qkv(x.flatten(1, 3)).chunk(3, dim=-1))
        cos, sin = (y.flatten(0, 2)[:, None].to(q.dtype) for y in (cos, sin))
        return apply_rope(q, cos, sin) * q.shape[-1] ** -0.5, apply_rope(k, cos, sin), v


class TiledSoftmax(_Softmax):
    """Softmax attention, a head at a time: one head's `[N, N]` scores are in memory instead of all."""

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None = None) -> Tensor:
        _refuse(merge)
        return self.proj(_each_head(_attend, self.projected(x, cos, sin))).view_as(x)


class EinsumSoftmax(_Softmax):
    """Softmax attention as einsums over `[B, N, h, D]`."""

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, merge: MergedTokens | None = None) -> Tensor:
        _refuse(merge)
        return self.proj(_einsum_attend(*self.projected(x, cos, sin))).view_as(x)


class _Cross(CrossAttention):
    def __init__(self, source: CrossAttention) -> None:
        nn.Module.__init__(self)
        self.heads = source.heads
        self.q_linear, self.kv_linear, self.proj = source.q_linear, source.kv_linear, source.proj

    def projected(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled queries `[B, N, h, D]`, keys and values `[B, L, h, D]`."""
        q = _split(self.q_linear(x.flatten(1, 3)), self.heads)
        k, v = (_split(y, self.heads) for y in self.kv_linear(context).chunk(2, dim=-1))
        return q * q.shape[-1] ** -0.5, k, v


class TiledCross(_Cross):
    """Attention to the text, a head at a time."""

    def forward(self, x: Tensor, context: Tensor, bias: Tensor, merge: MergedTokens | None = None) -> Tensor:
        _refuse(merge)

        def head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return _attend(q, k, v, bias[:, 0].to(q.dtype))

        return self.proj(_each_head(head, self.projected(x, context))).view_as(x)


class EinsumCross(_Cross):
    """Attention to the text as einsums."""

    def forward(self, x: Tensor, context: Tensor, bias: Tensor, merge: MergedTokens | None = None) -> Tensor:
        _refuse(merge)
        q, k, v = self.projected(x, context)
        return self.proj(_einsum_attend(q, k, v, bias.to(q.dtype))).view_as(x)


FORMS: dict[tuple[type[nn.Module], str], Callable[..., nn.Module]] = {
    (LinearAttention, "tiled"): TiledLinear,
    (LinearAttention, "einsum"): EinsumLinear,
    (SoftmaxAttention, "tiled"): TiledSoftmax,
    (SoftmaxAttention, "einsum"): EinsumSoftmax,
    (CrossAttention, "tiled"): TiledCross,
    (CrossAttention, "einsum"): EinsumCross,
}
_MADE = frozenset(FORMS.values())


def _refuse(merge: MergedTokens | None) -> None:
    if merge is not None:
        raise ValueError("Merged tokens are attended to in the usual form alone; export the twin from it.")


def _split(x: Tensor, heads: int) -> Tensor:
    """`[B, N, C]` to `[B, N, h, D]`."""
    return x.unflatten(-1, (heads, -1))


def _each_head(head: Callable[..., Tensor], qkv: Sequence[Tensor]) -> Tensor:
    """`head` on `[B, N, D]` of each head of `[B, N, h, D]`, side by side in `[B, N, C]`."""
    width = qkv[0].shape[-1]
    tiles = zip(*(y.flatten(2).split(width, dim=-1) for y in qkv), strict=True)
    return torch.cat([head(q, k, v) for q, k, v in tiles], dim=-1)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    scores = q @ k.transpose(-1, -2)
    return (scores if bias is None else scores + bias).softmax(dim=-1) @ v


def _einsum_attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    scores = torch.einsum("bnhd,bmhd->bhnm", q, k)
    weights = (scores if bias is None else scores + bias).softmax(dim=-1)
    return torch.einsum("bhnm,bmhd->bnhd", weights, v).flatten(2)
