"""Token merging inside our own video DiT: before the projections, as On-device Sora merges.

That halves the projections as well as the attention. A merged token's position is the midpoint of its
members' (`docs/acceleration.md` has the measurement).
"""

from __future__ import annotations

from torch import Tensor

from .merged_attention import MergeCounts, MergeRule
from .merging import Merging, TokenGrid, choose_similar, merge_all, merge_chosen, no_merging
from .proportional import key_bias


class BlockMerge:
    """What a block needs of its merge: see `pocketvideo.models.merging.MergedTokens`."""

    def __init__(self, merging: Merging):
        self._merging = merging

    @property
    def sizes(self) -> Tensor | None:
        return self._merging.sizes

    def merge(self, x: Tensor) -> Tensor:
        return self._merging.merge(x)

    def unmerge(self, x: Tensor) -> Tensor:
        return self._merging.unmerge(x)

    def rotation(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """The rotation halfway between both members': their sum, brought back to length 1.

        An average of two rotations would also shrink queries and keys, by cos(half their angle).
        """
        # Equal lengths prove nothing: a row that merges is padded to the length of one that does not.
        if self._merging.sizes is None and self._merging.after == self._merging.before:
            return cos, sin
        cos = _sum(self._merging.members(cos))
        sin = _sum(self._merging.members(sin))
        shrunk = (cos.square() + sin.square()).clamp_min(1e-12).rsqrt()
        cos, sin = cos * shrunk, sin * shrunk
        # Tables of rows that merge differently broadcast over the heads.
        return (cos, sin) if cos.ndim == 2 else (cos[:, None], sin[:, None])

    def key_bias(self, like: Tensor) -> Tensor | None:
        return None if self.sizes is None else key_bias(self.sizes, like.dtype)


class TokenMerger:
    """Merges frame pairs in every block of one forward pass: see `pocketvideo.models.merging.TokenMerge`.

    Args:
        pairs: first frames of the frame pairs (`pair_frames`).
        rule: all tokens of them, or the most alike ones of each block's attention input.
        attentions: attention calls per block, for `counts`.
    """

    def __init__(self, pairs: tuple[int, ...], rule: MergeRule, attentions: int = 2):
        self.pairs = pairs
        self.rule = rule
        self.attentions = attentions
        self.counts = MergeCounts()

    def __call__(self, x: Tensor) -> BlockMerge:
        """The merge of a block whose self-attention reads `x` `[B, F, H, W, C]`."""
        grid = TokenGrid(*x.shape[1:4])
        merging = self._merging(x, grid)
        self.counts.seen += self.attentions
        self.counts.merged += self.attentions if merging.after < merging.before else 0
        self.counts.before, self.counts.after = merging.before, merging.after
        return BlockMerge(merging)

    def _merging(self, x: Tensor, grid: TokenGrid) -> Merging:
        if not self.rule.similar:
            return merge_all(grid, self.pairs, device=x.device)
        chosen = choose_similar(x.flatten(1, 3), grid, self.pairs, self.rule.threshold, self.rule.share)
        if chosen is None:
            return no_merging(grid.tokens)
        return merge_chosen(chosen, grid, self.pairs, merged=self.rule.count(chosen.shape[-1]))


def _sum(members: tuple[Tensor, Tensor]) -> Tensor:
    return members[0] + members[1]
