"""Proportional attention (ToMe, arXiv 2210.09461, section 3): a key that stands for two counts twice.

Softmax attention over merged tokens equals attention over their copies when log(size) is added to the
logits of every key. Where a mask is there already, a merged key's bias is the logaddexp of its members'
biases, which is the same sum of weights written as one logit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .merging import Merging


def key_bias(sizes: Tensor, dtype: torch.dtype) -> Tensor:
    """log(size) as an additive attention mask `[B or 1, 1, 1, M]`; padding (size 0) gets the least number."""
    return _fit(sizes.float().log(), dtype)[:, None, None, :]


def merge_mask(
    mask: Tensor | None, keys: Merging | None, queries: Merging | None, like: Tensor
) -> Tensor | None:
    """The mask of merged attention, additive, `[B or 1, heads or 1, Nq or 1, Nk]`; None where none is needed.

    Args:
        mask: of the unmerged attention: bool (True is seen) or additive, `[Nq, Nk]`, `[B, Nq, Nk]` or
            `[B, heads, Nq, Nk]`, with 1 for what it is broadcast over.
        keys, queries: how each side is merged, None where it is not.
        like: a tensor whose dtype the mask takes.
    """
    if mask is None:
        if keys is None or keys.sizes is None:
            return None
        return key_bias(keys.sizes, like.dtype)
    bias = _additive(mask)
    if keys is not None:
        first, second = keys.members(bias.transpose(-1, -2))
        bias = _combine(first, second, keys.sizes).transpose(-1, -2)
    if queries is not None and mask.shape[-2] != 1:
        # The mean of both rows' weights, so that two equal rows stay what they are.
        first, second = queries.members(bias)
        bias = torch.logaddexp(first, second) - math.log(2)
    return _fit(bias, like.dtype)


def _additive(mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, torch.finfo(torch.float32).min)
    mask = mask.float().clamp_min(torch.finfo(torch.float32).min)
    if mask.ndim == 2:
        return mask[None, None]
    return mask[:, None] if mask.ndim == 3 else mask


def _combine(first: Tensor, second: Tensor, sizes: Tensor | None) -> Tensor:
    """Biases `[..., M, Nq]` of merged keys."""
    both = torch.logaddexp(first, second)
    if sizes is None:
        return both
    size = sizes[:, None, :, None].to(both.device)
    alone = torch.where(size == 1, first, both)
    return torch.where(size == 0, torch.finfo(torch.float32).min, alone)


def _fit(bias: Tensor, dtype: torch.dtype) -> Tensor:
    # The least finite number instead of -inf: a row of -inf turns into NaN in some kernels.
    return bias.clamp_min(torch.finfo(dtype).min).to(dtype)
