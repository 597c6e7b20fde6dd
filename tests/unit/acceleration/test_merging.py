"""Pairs, merges and their inverses: exact where they must be, and every video by itself."""

from __future__ import annotations

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.acceleration.merging import (
    Merging,
    TokenGrid,
    choose_similar,
    merge_all,
    merge_chosen,
    no_merging,
    pair_frames,
)
from hypothesis import given, settings
from hypothesis import strategies as st

GRIDS = st.builds(TokenGrid, st.integers(1, 7), st.integers(1, 3), st.integers(1, 3))
ENDS = st.integers(0, 3)


@pytest.mark.parametrize(
    ("frames", "given_frames", "keep", "pairs"),
    [
        (4, (), False, (0, 2)),
        (5, (), False, (0, 2)),
        (5, (), True, (1, 3)),
        (5, (0,), False, (1, 3)),
        (6, (0,), False, (1, 3)),
        (6, (0, 5), False, (1, 3)),
        (7, (3,), False, (0, 4)),
        (5, (1,), False, (2,)),
        (2, (1,), False, ()),
        (1, (), False, ()),
        (3, (0, 1, 2), False, ()),
    ],
)
def test_pairs_leave_given_frames_alone(
    frames: int, given_frames: tuple[int, ...], keep: bool, pairs: tuple[int, ...]
) -> None:
    assert pair_frames(frames, given_frames, keep) == pairs


@given(st.integers(1, 12), st.sets(st.integers(0, 11)), st.booleans())
def test_pairs_are_disjoint_and_consecutive(frames: int, given_frames: set[int], keep: bool) -> None:
    pairs = pair_frames(frames, given_frames, keep)
    members = [frame for first in pairs for frame in (first, first + 1)]

    assert len(set(members)) == len(members)
    assert all(0 <= frame < frames and frame not in given_frames for frame in members)
    assert not (keep and 0 in members)


@settings(deadline=None)
@given(GRIDS, ENDS, ENDS, st.booleans(), st.integers(0, 99))
def test_merging_all_pairs_is_the_mean_and_its_copy(
    grid: TokenGrid, front: int, back: int, keep: bool, seed: int
) -> None:
    pairs = pair_frames(grid.frames, (), keep)
    merging = merge_all(grid, pairs, front, back)
    x = random(2, front + grid.tokens + back, seed=seed)

    restored = merging.unmerge(merging.merge(x))

    expected = x.clone()
    for first in pairs:
        begin = front + first * grid.area
        a, b = x[:, begin : begin + grid.area], x[:, begin + grid.area : begin + 2 * grid.area]
        expected[:, begin : begin + 2 * grid.area] = ((a + b) / 2).repeat(1, 2, 1)
    assert torch.allclose(restored, expected, atol=1e-6)
    assert merging.merge(x).shape[1] == merging.after == merging.before - len(pairs) * grid.area
    check_sizes(merging)


@settings(deadline=None)
@given(GRIDS, ENDS, ENDS, st.floats(0, 1), st.floats(-1, 1), st.integers(0, 99))
def test_similar_tokens_merge_and_the_rest_comes_back_exactly(
    grid: TokenGrid, front: int, back: int, share: float, threshold: float, seed: int
) -> None:
    pairs = pair_frames(grid.frames)
    x = random(3, front + grid.tokens + back, seed=seed)
    chosen = choose_similar(x, grid, pairs, threshold, share, front)
    if chosen is None:
        return
    merging = merge_chosen(chosen, grid, pairs, front, back)
    restored = merging.unmerge(merging.merge(x))

    for row in range(3):
        touched = set()
        for candidate in chosen[row].nonzero().flatten().tolist():
            pair, place = divmod(candidate, grid.area)
            first = front + pairs[pair] * grid.area + place
            touched |= {first, first + grid.area}
            mean = (x[row, first] + x[row, first + grid.area]) / 2
            assert torch.allclose(restored[row, first], mean, atol=1e-6)
            assert torch.equal(restored[row, first], restored[row, first + grid.area])
        others = [n for n in range(x.shape[1]) if n not in touched]
        assert torch.equal(restored[row, others], x[row, others])
        assert int(chosen[row].sum()) <= share * chosen.shape[1] + 1e-6
    check_sizes(merging)


@settings(deadline=None)
@given(GRIDS.filter(lambda grid: grid.frames > 1), st.floats(0.1, 1), st.integers(0, 99))
def test_a_video_in_a_batch_decides_as_it_does_alone(grid: TokenGrid, share: float, seed: int) -> None:
    pairs = pair_frames(grid.frames)
    x = random(3, grid.tokens, seed=seed)
    chosen = choose_similar(x, grid, pairs, threshold=0.0, share=share)
    for row in range(3):
        alone = choose_similar(x[row : row + 1], grid, pairs, threshold=0.0, share=share)
        here = torch.zeros(1, len(pairs) * grid.area, dtype=torch.bool) if chosen is None else chosen[row]
        assert torch.equal(here.view(-1), torch.zeros_like(here.view(-1)) if alone is None else alone[0])


def test_the_most_similar_merge_first_and_none_below_the_threshold() -> None:
    grid = TokenGrid(2, 1, 4)
    first = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0]])
    second = torch.tensor([[0.0, 1], [1, 0], [1, 1], [-1, 0]])  # cosines 0, 1, 0.71, -1
    x = torch.cat((first, second))[None]

    def chosen(threshold: float, share: float) -> list[int]:
        flags = choose_similar(x, grid, (0,), threshold, share)
        return [] if flags is None else flags[0].nonzero().flatten().tolist()

    assert chosen(-1, 0.25) == [1]
    assert chosen(-1, 0.5) == [1, 2]
    assert chosen(-1, 1) == [0, 1, 2, 3]
    assert chosen(0.5, 1) == [1, 2]
    assert chosen(0.5, 0.25) == [1]
    assert chosen(-0.5, 1) == [0, 1, 2]
    assert chosen(-1, 0) == []


def test_heads_are_judged_together() -> None:
    grid = TokenGrid(3, 2, 2)
    x = random(2, grid.tokens, width=8)
    heads = x.unflatten(-1, (4, 2)).transpose(1, 2)
    whole = choose_similar(x, grid, (0,), -1, 0.5)
    split = choose_similar(heads, grid, (0,), -1, 0.5)
    assert whole is not None
    assert split is not None
    assert torch.equal(whole, split)
    merging = merge_chosen(whole, grid, (0,), merged=2)
    assert torch.equal(merging.merge(heads), merging.merge(x).unflatten(-1, (4, 2)).transpose(1, 2))


def test_nothing_to_merge_changes_nothing() -> None:
    x = random(1, 6)
    for merging in (no_merging(6), merge_all(TokenGrid(1, 2, 3), ())):
        assert merging.merge(x) is x
        assert merging.unmerge(x) is x
        assert merging.before == merging.after == 6


def test_half_precision_does_not_overflow() -> None:
    x = torch.full((1, 2, 1), 60000.0, dtype=torch.float16)
    assert merge_all(TokenGrid(2, 1, 1), (0,)).merge(x).item() == 60000


def random(batch: int, tokens: int, width: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn((batch, tokens, width), generator=torch.Generator().manual_seed(seed))


def check_sizes(merging: Merging) -> None:
    """Every token is stood for once."""
    if merging.sizes is not None:
        assert merging.sizes.shape[-1] == merging.after
        assert (merging.sizes.sum(dim=-1) == merging.before).all()
