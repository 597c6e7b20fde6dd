"""What the blocks know of token merging: its shape, not how tokens are chosen (pocketvideo/acceleration)."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class MergedTokens(Protocol):
    """One block's merge, from N tokens to M, decided by what its self-attention reads."""

    @property
    def sizes(self) -> Tensor | None:
        """How many tokens each one stands for, `[B or 1, M]`; None where all stand for equally many."""

    def merge(self, x: Tensor) -> Tensor:
        """`[B, N, C]` to `[B, M, C]`."""

    def unmerge(self, x: Tensor) -> Tensor:
        """`[B, M, C]` to `[B, N, C]`."""

    def rotation(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """RoPE tables `[N, D]` to those of the merged tokens, `[M, D]` or `[B, 1, M, D]`."""

    def key_bias(self, like: Tensor) -> Tensor | None:
        """What softmax attention adds to the logits of merged keys, `[B or 1, 1, 1, M]`."""


class TokenMerge(Protocol):
    """Decides, block by block, which tokens merge."""

    def __call__(self, x: Tensor) -> MergedTokens:
        """The merge of a block whose self-attention reads `x` `[B, F, H, W, C]`."""
