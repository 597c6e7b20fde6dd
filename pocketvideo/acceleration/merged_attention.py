"""Attention over merged tokens, for any network that calls one attention function for all of its attentions.

`MergingAttention` stands in for that function during one forward pass. It sees queries, keys and values
after RoPE, finds out from their lengths which sequence they are, merges what is the video's, calls the
function and unmerges its result. Merging rotated keys averages the logits of both true positions, so no
position has to be invented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .merging import Merging, TokenGrid, choose_similar, merge_all, merge_chosen, share_of
from .proportional import merge_mask

Attention = Callable[..., Tensor]


@dataclass(frozen=True)
class MergeRule:
    """Which token pairs merge: all (`similar` False), or the most alike (see `choose_similar`)."""

    similar: bool = False
    threshold: float = -1.0
    share: float = 1.0

    def count(self, candidates: int) -> int | None:
        """How many of these token pairs merge in every row; None where the similarity decides."""
        return None if self.threshold > -1 else share_of(self.share, candidates)


@dataclass(frozen=True)
class VideoSequence:
    """Where a network keeps the video's tokens in the sequence of its self-attention.

    `length` is the whole sequence, or its least length where only that is known (`exact` False: text of a
    length that the network decides shares the sequence). The video begins at `front`, or ends the sequence
    (`last`). `contexts` are the lengths of what a block's cross-attentions read after its self-attention.
    """

    grid: TokenGrid
    pairs: tuple[int, ...]
    length: int
    exact: bool = True
    front: int = 0
    last: bool = False
    contexts: tuple[int, ...] = ()

    def start(self, length: int) -> int:
        """Where the video begins in a sequence of this length."""
        return length - self.grid.tokens if self.last else self.front

    def is_whole(self, length: int) -> bool:
        return length == self.length if self.exact else length >= self.length


@dataclass
class MergeCounts:
    """What one forward pass did."""

    seen: int = 0  # attention calls over the video's tokens
    merged: int = 0
    before: int = 0  # tokens of the sequence, last self-attention
    after: int = 0


class MergingAttention:
    """The attention function of one forward pass: called as `f(attention, q, k, v, heads, mask=None, ...)`.

    Self- and cross-attention are told apart by their lengths. Where a text happens to be as long as the
    sequence, by their order: a block's self-attention comes first and its cross-attentions follow.

    Args:
        sequence: where the video is.
        rule: which tokens merge.
        earlier: another pack's function in the same place, which is called with the merged tokens.
    """

    def __init__(self, sequence: VideoSequence, rule: MergeRule, earlier: Attention | None = None):
        self.sequence = sequence
        self.rule = rule
        self.earlier = earlier
        self.counts = MergeCounts()
        self._alike = 0
        self._chosen: Tensor | None = None
        self._decided = False
        self._fixed: dict[tuple[int, int], Merging] = {}

    def __call__(
        self,
        attention: Attention,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        heads: int,
        mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        call = attention if self.earlier is None else partial(self.earlier, attention)
        queries, keys = self._sides(q, k, v, mask)
        if queries is None and keys is None:
            return self._call(call, q, k, v, heads, mask, args, kwargs)
        self.counts.merged += 1
        bias = merge_mask(mask, keys, queries, q)
        if bias is not None and mask is None:
            # ComfyUI's word for "no quantised attention": those kernels ignore masks or get them wrong.
            kwargs.setdefault("low_precision_attention", False)
        if queries is not None:
            q = queries.merge(q)
        if keys is not None:
            k, v = keys.merge(k), keys.merge(v)
        out = self._call(call, q, k, v, heads, bias, args, kwargs)
        return out if queries is None else queries.unmerge(out)

    @staticmethod
    def _call(
        call: Attention,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        heads: int,
        mask: Tensor | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        if args:
            return call(q, k, v, heads, mask, *args, **kwargs)
        if mask is not None:
            kwargs["mask"] = mask
        return call(q, k, v, heads, **kwargs)

    def _sides(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
    ) -> tuple[Merging | None, Merging | None]:
        """How the queries and the keys of this call merge, None for a side that does not."""
        sequence = self.sequence
        n_queries, n_keys = q.shape[-2], k.shape[-2]
        if not sequence.is_whole(n_queries):
            if sequence.exact and n_keys == sequence.length and n_queries < n_keys and mask is not None:
                return self._part(n_queries, n_keys, v, mask)
            return None, None
        if n_queries == n_keys and self._is_self(n_keys):
            self.counts.seen += 1
            self._decide(v, n_keys)
            merging = self._merging(n_keys, v.device)
            self.counts.before, self.counts.after = n_keys, n_keys if merging is None else merging.after
            return merging, merging
        if not sequence.contexts:
            return None, None
        self.counts.seen += 1
        return (self._merging(n_queries, v.device) if self._decided else None), None

    def _part(
        self, n_queries: int, n_keys: int, v: Tensor, mask: Tensor
    ) -> tuple[Merging | None, Merging | None]:
        """A self-attention that is computed for some of its queries at a time (LTXV with guides).

        The guides' own mask has a row per guide, that of the video one row for all: so they differ even
        where there are as many guide tokens as video tokens.
        """
        self.counts.seen += 1
        self._decide(v, n_keys)
        keys = self._merging(n_keys, v.device)
        is_video = n_queries == self.sequence.grid.tokens and self.sequence.front == 0 and mask.shape[-2] == 1
        queries = self._merging(n_queries, v.device) if is_video else None
        if is_video:
            self.counts.before, self.counts.after = n_keys, n_keys if keys is None else keys.after
        return queries, keys

    def _is_self(self, length: int) -> bool:
        period = 1 + self.sequence.contexts.count(length)
        position = self._alike % period
        self._alike += 1
        return position == 0

    def _decide(self, v: Tensor, length: int) -> None:
        """The self-attention's decision, which the block's cross-attention keeps to.

        Values, because RoPE does not turn them: what is alike looks alike.
        """
        self._decided = True
        if self.rule.similar:
            self._chosen = choose_similar(
                v,
                self.sequence.grid,
                self.sequence.pairs,
                self.rule.threshold,
                self.rule.share,
                self.sequence.start(length),
            )

    def _merging(self, length: int, device: torch.device) -> Merging | None:
        sequence = self.sequence
        front = sequence.start(length)
        back = length - front - sequence.grid.tokens
        if self.rule.similar:
            if self._chosen is None:
                return None
            count = self.rule.count(self._chosen.shape[-1])
            return merge_chosen(self._chosen, sequence.grid, sequence.pairs, front, back, count)
        if (front, back) not in self._fixed:
            self._fixed[front, back] = merge_all(sequence.grid, sequence.pairs, front, back, device)
        return self._fixed[front, back]
