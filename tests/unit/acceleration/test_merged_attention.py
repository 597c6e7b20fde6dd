"""Attention over merged tokens equals attention over their copies, with text, masks and in any layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.acceleration.merged_attention import (
    MergeRule,
    MergingAttention,
    VideoSequence,
)
from comfyui_pocketvideo.pocketvideo.acceleration.merging import TokenGrid, pair_frames
from comfyui_pocketvideo.pocketvideo.acceleration.proportional import merge_mask
from torch import Tensor
from torch.nn import functional as F

HEADS, WIDTH = 2, 8
GRID = TokenGrid(5, 2, 3)
TEXT = 4
RULES = {
    "pairs": MergeRule(),
    "share": MergeRule(True, -1, 0.4),
    "threshold": MergeRule(True, 0.2, 1.0),
}


class Attention:
    """The host's attention function: `[B, N, heads * D]`, or split in heads. Remembers what it was given."""

    def __init__(self) -> None:
        self.lengths: list[tuple[int, int]] = []
        self.masks: list[Tensor | None] = []

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        self.lengths.append((q.shape[-2], k.shape[-2]))
        self.masks.append(mask)
        split = kwargs.get("skip_reshape", False)
        if not split:
            q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        if mask is not None and mask.ndim < 4:
            mask = mask[None, None] if mask.ndim == 2 else mask[:, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return out if kwargs.get("skip_output_reshape") else out.transpose(1, 2).flatten(2)


def sequence(text: int = 0, last: bool = False, **options: Any) -> VideoSequence:
    pairs = pair_frames(GRID.frames)
    return VideoSequence(GRID, pairs, GRID.tokens + text, last=last, **options)


def twins(length: int, front: int, seed: int = 0, batch: int = 2) -> Tensor:
    """Random tokens `[B, N, C]` of which both members of every frame pair are equal."""
    x = torch.randn((batch, length, HEADS * WIDTH), generator=torch.Generator().manual_seed(seed))
    for first in pair_frames(GRID.frames):
        begin = front + first * GRID.area
        x[:, begin + GRID.area : begin + 2 * GRID.area] = x[:, begin : begin + GRID.area]
    return x


def qkv(length: int, front: int) -> list[Tensor]:
    return [twins(length, front, seed) for seed in range(3)]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("text", [0, TEXT])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mask", ["none", "keys", "rows", "bool", "2d"])
def test_merging_equal_tokens_changes_nothing(rule: MergeRule, text: int, last: bool, mask: str) -> None:
    """Proportional attention, log-sum of the keys' masks, text first or last."""
    length = GRID.tokens + text
    front = text if last else 0
    attention = Attention()
    merging = MergingAttention(sequence(text, last), rule)
    bias = {
        "none": None,
        "keys": twins(length, front, 3, 1)[:, :, 0][:, None, :],
        "rows": twin_rows(length, front),
        "bool": twin_rows(length, front) > -1,
        "2d": twin_rows(length, front)[0, 0],
    }[mask]
    inputs = qkv(length, front)

    merged = merging(attention, *inputs, HEADS, mask=bias)

    plain = Attention()(*inputs, HEADS, mask=bias)
    assert torch.allclose(merged, plain, atol=1e-5)
    assert attention.lengths[0][0] < length
    assert (merging.counts.merged, merging.counts.before) == (1, length)


def twin_rows(length: int, front: int) -> Tensor:
    """A mask `[1, 1, N, N]` with equal rows and columns for the members of a pair."""
    rows = twins(length, front, 4, 1)[0, :, :1]
    return (rows + 0.5 * rows.T)[None, None]


def test_rows_that_merge_different_numbers_keep_to_themselves() -> None:
    x = [
        torch.randn((3, GRID.tokens, HEADS * WIDTH), generator=torch.Generator().manual_seed(s))
        for s in range(3)
    ]
    rule = MergeRule(True, 0.1, 1.0)
    together = MergingAttention(sequence(), rule)(Attention(), *x, HEADS)
    for row in range(3):
        alone = MergingAttention(sequence(), rule)(Attention(), *(y[row : row + 1] for y in x), HEADS)
        assert torch.allclose(together[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_cross_attention_merges_its_queries_as_its_block_did(rule: MergeRule) -> None:
    merging = MergingAttention(sequence(contexts=(TEXT,)), rule)
    attention = Attention()
    merging(attention, *qkv(GRID.tokens, 0), HEADS)
    q, text = twins(GRID.tokens, 0, 7), torch.randn(2, TEXT, HEADS * WIDTH)

    crossed = merging(attention, q, text, text, HEADS)

    assert torch.allclose(crossed, Attention()(q, text, text, HEADS), atol=1e-5)
    assert attention.lengths[1] == (attention.lengths[0][0], TEXT)
    assert (merging.counts.seen, merging.counts.merged) == (2, 2)


def test_text_as_long_as_the_video_is_told_apart_by_its_place_in_the_block() -> None:
    merging = MergingAttention(sequence(contexts=(GRID.tokens,)), MergeRule())
    attention = Attention()
    for _ in range(2):
        merging(attention, *qkv(GRID.tokens, 0), HEADS)
        text = torch.randn(2, GRID.tokens, HEADS * WIDTH)
        merging(attention, twins(GRID.tokens, 0), text, text, HEADS)
    half = GRID.tokens - 2 * GRID.area
    assert attention.lengths == [(half, half), (half, GRID.tokens)] * 2


def test_text_that_refines_itself_is_left_alone() -> None:
    """A joint sequence of video and text is at least as long as both; text alone may be longer than video."""
    text = GRID.tokens + 5
    joint = VideoSequence(GRID, (0, 2), GRID.tokens + text, exact=False, last=True)
    attention = Attention()
    merging = MergingAttention(joint, MergeRule())
    merging(attention, *(torch.randn(1, text, HEADS * WIDTH) for _ in range(3)), HEADS)
    merging(attention, *(torch.randn(1, GRID.tokens + text + 2, HEADS * WIDTH) for _ in range(3)), HEADS)

    assert attention.lengths[0] == (text, text)
    assert attention.lengths[1][0] == GRID.tokens + text + 2 - 2 * GRID.area
    assert merging.counts.seen == merging.counts.merged == 1


def test_queries_that_come_in_two_parts_merge_as_one() -> None:
    """LTXV with weighted guides: the video's queries with one mask row, the guides' with a row each."""
    guides = GRID.tokens  # as many as the video has, to be told apart by their masks
    length = GRID.tokens + guides
    layout = VideoSequence(GRID, pair_frames(GRID.frames), length)
    q, k, v = qkv(length, 0)
    video_mask = torch.zeros(1, 1, 1, length)
    video_mask[..., GRID.tokens :] = -1.5
    guide_mask = twin_rows(length, 0)[:, :, GRID.tokens :]
    merging, attention = MergingAttention(layout, MergeRule()), Attention()

    video = merging(attention, q[:, : GRID.tokens], k, v, HEADS, mask=video_mask)
    guide = merging(attention, q[:, GRID.tokens :], k, v, HEADS, mask=guide_mask)

    assert torch.allclose(video, Attention()(q[:, : GRID.tokens], k, v, HEADS, mask=video_mask), atol=1e-5)
    assert torch.allclose(guide, Attention()(q[:, GRID.tokens :], k, v, HEADS, mask=guide_mask), atol=1e-5)
    removed = 2 * GRID.area
    assert attention.lengths == [(GRID.tokens - removed, length - removed), (guides, length - removed)]


@pytest.mark.parametrize("keep_heads", [False, True])
def test_tokens_split_in_heads(keep_heads: bool) -> None:
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in qkv(GRID.tokens, 0))
    options = {"skip_reshape": True, "skip_output_reshape": keep_heads}
    for rule in RULES.values():
        merged = MergingAttention(sequence(), rule)(Attention(), q, k, v, HEADS, **options)
        assert torch.allclose(merged, Attention()(q, k, v, HEADS, **options), atol=1e-5)


def test_another_packs_function_gets_the_merged_tokens() -> None:
    seen = []

    def earlier(function: Any, *args: Any, **kwargs: Any) -> Tensor:
        seen.append(args[0].shape[1])
        return function(*args, **kwargs)

    MergingAttention(sequence(), MergeRule(), earlier)(Attention(), *qkv(GRID.tokens, 0), HEADS)
    assert seen == [GRID.tokens - 2 * GRID.area]


def test_all_frames_merged_alike_need_no_mask() -> None:
    """The fast kernels take no mask."""
    grid = TokenGrid(4, 2, 3)
    attention = Attention()
    x = torch.randn(1, grid.tokens, HEADS * WIDTH)
    MergingAttention(VideoSequence(grid, (0, 2), grid.tokens), MergeRule())(attention, x, x, x, HEADS)
    assert attention.masks == [None]
    assert attention.lengths == [(grid.tokens // 2,) * 2]


def test_padding_is_never_seen_in_half_precision() -> None:
    from comfyui_pocketvideo.pocketvideo.acceleration.merging import merge_chosen

    chosen = torch.zeros(2, GRID.area, dtype=torch.bool)
    chosen[0, :3] = True
    merging = merge_chosen(chosen, GRID, (0,))
    half = merge_mask(None, merging, None, torch.zeros(1, dtype=torch.float16))
    assert half is not None
    assert torch.isfinite(half).all()
    assert (half[0, 0, 0, -3:] == torch.finfo(torch.float16).min).all()
    hidden = torch.full((1, 1, 1, GRID.tokens), -torch.finfo(torch.float16).max, dtype=torch.float16)
    masked = merge_mask(hidden, merging, None, hidden)
    assert masked is not None
    assert torch.isfinite(masked).all()
