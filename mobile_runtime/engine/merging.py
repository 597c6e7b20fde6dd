"""Which tokens merge: the index arrays that a merging network is given (On-device Sora's TDTM, section 5).

Merging itself is in the network's graphs; what depends on the video's size and on the settings is computed
here, once for a run. So one graph serves every size, share and window, and no graph does arithmetic on
int64. numpy alone: the desk makes the same arrays when it exports such graphs and proves them against torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

# The desk takes a sigma this close to the window's edge for the edge: schedules and percentages are rounded
# differently.
ROUNDING = 1e-4


@dataclass(frozen=True)
class MergeConfig:
    """What a denoise op says of merging.

    `pairs` merges every token of two frames with its place in the next; `similar` the most alike ones, a
    `share` (0 to 1) of all token pairs. It merges while `end` < sigma <= `begin`; None has no upper bound.
    """

    mode: Literal["pairs", "similar"]
    end: float
    begin: float | None = None
    keep_first_frame: bool = False
    share: float = 1.0

    @classmethod
    def of(cls, op: dict[str, Any]) -> MergeConfig:
        """The `merge` field of a plan's denoise op."""
        return cls(op["mode"], op["end"], op.get("begin"), op["keep_first_frame"], op.get("share", 1.0))

    def inside(self, sigma: float) -> bool:
        """Whether an evaluation at this sigma merges."""
        begun = self.begin is None or sigma <= self.begin * (1 + ROUNDING)
        return begun and sigma > self.end * (1 + ROUNDING)

    def arrays(self, grid: Sequence[int], first_frame_given: bool = False) -> dict[str, np.ndarray] | None:
        """The network's inputs for a video of F x H x W tokens, or None where nothing can merge."""
        frames, height, width = grid
        kept = self.keep_first_frame or first_frame_given
        if self.mode == "pairs":
            return pair_arrays(frames, kept)
        return similar_arrays(frames, height, width, self.share, kept)


def pair_arrays(frames: int, keep_first_frame: bool = False) -> dict[str, np.ndarray] | None:
    """Merging whole frame pairs: (0, 1), (2, 3), ..., or from frame 1 on; an odd one out stays alone.

    For M merged frames: `merge_first` and `merge_second` `[M]` are the members, twice the same for a frame
    that stays alone; `merge_sizes` `[M]` float32 is how many frames each one stands for; `merge_source`
    `[F]` is where every frame finds itself again.
    """
    begin = int(keep_first_frame)
    if frames - begin < 2:
        return None
    first = np.concatenate((np.arange(begin), np.arange(begin, frames, 2)))
    second = np.minimum(first + 1, frames - 1)
    second[:begin] = first[:begin]
    later = np.arange(frames)
    source = np.where(later < begin, later, begin + (later - begin) // 2)
    return {
        "merge_first": first.astype(np.int64),
        "merge_second": second.astype(np.int64),
        "merge_source": source.astype(np.int64),
        "merge_sizes": (1 + (second != first)).astype(np.float32),
    }


def similar_arrays(
    frames: int, height: int, width: int, share: float, keep_first_frame: bool = False
) -> dict[str, np.ndarray] | None:
    """Merging the most alike of the P token pairs of all frame pairs, `share` of them, rounded down.

    `merge_first` and `merge_second` `[P]` are the members' places among the F H W tokens, `merge_alone` those
    of the tokens that are in no pair; `merge_back` `[F, H, W]` is each token's place in the row of alone,
    first and second; `merge_rest` are the ranks, of the most alike pair 0, that do not merge.
    """
    area = height * width
    starts = np.arange(int(keep_first_frame), frames - 1, 2)
    first = (starts[:, None] * area + np.arange(area)).ravel()
    # Rounded down but for rounding errors, as on the desk.
    merged = math.floor(share * len(first) + 1e-6)
    if merged < 1:
        return None
    alone = np.setdiff1d(np.arange(frames * area), np.concatenate((first, first + area)))
    row = np.concatenate((alone, first, first + area))
    return {
        "merge_alone": alone.astype(np.int64),
        "merge_first": first.astype(np.int64),
        "merge_second": (first + area).astype(np.int64),
        "merge_back": np.argsort(row).reshape(frames, height, width).astype(np.int64),
        "merge_rest": np.arange(min(merged, len(first)), len(first), dtype=np.int64),
    }
