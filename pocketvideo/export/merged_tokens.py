"""Token merging in the form that exports: the desk's merge (`pocketvideo.acceleration`), told what to merge.

The desk decides with Python's arithmetic on sizes; a graph takes indices as inputs instead, which
`mobile_runtime.engine.merging` computes for a video's size. A merged row's order differs from the desk's,
which no attention can tell.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..acceleration.merging import Merging
from ..acceleration.token_merge import BlockMerge

PAIR_INPUTS = ("merge_first", "merge_second", "merge_source", "merge_sizes")
Change = Callable[[Tensor], Tensor]
Members = Callable[[Tensor], tuple[Tensor, Tensor]]
SIMILAR_INPUTS = ("merge_alone", "merge_first", "merge_second", "merge_back", "merge_rest")


class PairMerge:
    """A `TokenMerge` of whole frames: see `pair_arrays` for the inputs."""

    def __init__(self, first: Tensor, second: Tensor, source: Tensor, sizes: Tensor) -> None:
        self.first, self.second, self.source, self.sizes = first, second, source, sizes

    def __call__(self, x: Tensor) -> BlockMerge:
        """The merge of a block whose self-attention reads `x` `[B, F, H, W, C]`."""
        frames, area = x.shape[1], x.shape[2] * x.shape[3]
        merged = self.first.shape[0]

        def members(value: Tensor) -> tuple[Tensor, Tensor]:
            by_frame = value.unflatten(-2, (frames, area))
            return (
                by_frame.index_select(-3, self.first).flatten(-3, -2),
                by_frame.index_select(-3, self.second).flatten(-3, -2),
            )

        def unmerge(value: Tensor) -> Tensor:
            return value.unflatten(-2, (merged, area)).index_select(-3, self.source).flatten(-3, -2)

        sizes = self.sizes[:, None].expand(merged, area).reshape(1, merged * area)
        return BlockMerge(_merging(members, unmerge, sizes, frames * area, merged * area))


class SimilarMerge:
    """A `TokenMerge` of the most alike token pairs, by cosine similarity: see `similar_arrays`."""

    def __init__(self, alone: Tensor, first: Tensor, second: Tensor, back: Tensor, rest: Tensor) -> None:
        self.alone, self.first, self.second, self.back, self.rest = alone, first, second, back, rest

    def __call__(self, x: Tensor) -> BlockMerge:
        """The merge of a block whose self-attention reads `x` `[B, F, H, W, C]`; every row chooses by itself.

        The merged row is: tokens in no pair, the first of every pair, the second of those that do not merge.
        """
        rows = x.shape[0]
        alone, pairs, rest = self.alone.shape[0], self.first.shape[0], self.rest.shape[0]
        order = self._similarity(x.flatten(1, 3)).topk(pairs, dim=-1).indices
        left = order.index_select(1, self.rest)
        merges = torch.ones_like(order).scatter(1, left, torch.zeros_like(left))
        first, second = self.first.expand(rows, -1), self.second.expand(rows, -1)
        begin = torch.cat((self.alone.expand(rows, -1), first, second.gather(1, left)), dim=1)
        partner = torch.where(merges > 0, second, first)
        partner = torch.cat((self.alone.expand(rows, -1), partner, second.gather(1, left)), dim=1)
        own = torch.arange(alone, alone + pairs, device=x.device).expand(rows, -1)
        extra = torch.arange(alone + pairs, alone + pairs + rest, device=x.device).expand(rows, -1)
        places = torch.arange(alone, device=x.device).expand(rows, -1)
        places = torch.cat((places, own, own.scatter(1, left, extra)), dim=1)
        source = places.index_select(1, self.back.flatten())
        sizes = torch.cat(
            (x.new_ones((rows, alone)), 1 + (merges > 0).to(x.dtype), x.new_ones((rows, rest))), dim=1
        )

        def members(value: Tensor) -> tuple[Tensor, Tensor]:
            return _take(value, begin), _take(value, partner)

        def unmerge(value: Tensor) -> Tensor:
            return _take(value, source)

        before = alone + 2 * pairs
        return BlockMerge(_merging(members, unmerge, sizes, before, alone + pairs + rest))

    def _similarity(self, x: Tensor) -> Tensor:
        a, b = x.index_select(1, self.first), x.index_select(1, self.second)
        lengths = a.square().sum(-1) * b.square().sum(-1)
        return (a * b).sum(-1) / lengths.sqrt().clamp_min(1e-12)


def _merging(members: Members, unmerge: Change, sizes: Tensor, before: int, after: int) -> Merging:
    def merge(value: Tensor) -> Tensor:
        a, b = members(value)
        return a * 0.5 + b * 0.5

    return Merging(merge, unmerge, members, sizes, before, after)


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Tokens `[B, K, D]` of `[B, N, D]`, or of one `[N, D]` for all rows, by every row's `index` `[B, K]`."""
    rows, taken = index.shape
    if x.ndim == 2:
        return x.index_select(0, index.flatten()).unflatten(0, (rows, taken))
    start = torch.arange(rows, device=x.device)[:, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, (index + start).flatten()).unflatten(0, (rows, taken))
