"""Merging the tokens of consecutive latent frames (TDTM of On-device Sora, arXiv 2502.04363, section 5).

Tokens stand in the order (t, y, x), `[..., N, D]` with N = front + F * H * W + back: the video may share its
sequence with others (text, reference pictures), which are never merged. A merged token is the mean of its
two members; unmerging copies it to both. Merging and unmerging come back together, as in tomesd, with a
do-nothing pair for the degenerate case. Knows neither attention nor ComfyUI.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenGrid:
    """Tokens of a video: F frames of H x W."""

    frames: int
    height: int
    width: int

    @property
    def area(self) -> int:
        """Tokens of one frame."""
        return self.height * self.width

    @property
    def tokens(self) -> int:
        return self.frames * self.area


class Merging(NamedTuple):
    """A merge with its inverse, for tensors `[..., N, D]` of one sequence.

    `merge` gives `[..., M, D]`, `unmerge` takes that back to N. `members` gives both members of every merged
    token, each `[..., M, D]`; a token that stays alone is both. `sizes` `[B or 1, M]` says how many tokens
    each one stands for (0 is padding that must not be attended to), None where all stand for equally many.
    """

    merge: Callable[[Tensor], Tensor]
    unmerge: Callable[[Tensor], Tensor]
    members: Callable[[Tensor], tuple[Tensor, Tensor]]
    sizes: Tensor | None
    before: int
    after: int


def pair_frames(frames: int, given: Collection[int] = (), keep_first_frame: bool = False) -> tuple[int, ...]:
    """First frames of the pairs: (0, 1), (2, 3), ... of the paper, counted from the frame that may merge.

    A given frame (conditioning) is never merged and breaks the row of pairs; an odd one out stays alone.
    """
    pairs = []
    frame = 1 if keep_first_frame else 0
    while frame + 1 < frames:
        if frame in given:
            frame += 1
            continue
        if frame + 1 not in given:
            pairs.append(frame)
        frame += 2
    return tuple(pairs)


def no_merging(tokens: int) -> Merging:
    """Leaves a sequence as it is."""
    return Merging(lambda x: x, lambda x: x, lambda x: (x, x), None, tokens, tokens)


def merge_all(
    grid: TokenGrid,
    pairs: tuple[int, ...],
    front: int = 0,
    back: int = 0,
    device: torch.device | None = None,
) -> Merging:
    """Merge every token of these frame pairs with its place in the next frame, as the paper does."""
    total = front + grid.tokens + back
    if not pairs:
        return no_merging(total)
    runs = _runs(grid, pairs, front, back)

    def members(x: Tensor) -> tuple[Tensor, Tensor]:
        firsts, seconds = zip(*(_run_members(x, run, grid.area) for run in runs), strict=True)
        return torch.cat(firsts, dim=-2), torch.cat(seconds, dim=-2)

    def merge(x: Tensor) -> Tensor:
        # Merging is bound by memory, so every pass over the tokens counts: one for the mean, one to join.
        return _join([_run_mean(x, run, grid.area) for run in runs])

    def unmerge(x: Tensor) -> Tensor:
        return x.index_select(-2, _run_sources(runs, grid.area, x.device))

    after = total - len(pairs) * grid.area
    sizes = None
    if 2 * after != total:
        counts = [
            torch.full((run.pairs * grid.area,), 2.0) if run.pairs else torch.ones(run.tokens) for run in runs
        ]
        sizes = torch.cat(counts)[None].to(device)
    return Merging(merge, unmerge, members, sizes, total, after)


def choose_similar(
    features: Tensor,
    grid: TokenGrid,
    pairs: tuple[int, ...],
    threshold: float = -1.0,
    share: float = 1.0,
    front: int = 0,
) -> Tensor | None:
    """Which token pairs to merge, `[B, P * H * W]`: the most alike, where something moves nothing merges.

    Every row (video) decides by itself: of its P * H * W token pairs, those with a cosine similarity of at
    least `threshold`, the most similar first, and at most `share` of them. None where no row merges any.

    Args:
        features: `[B, N, D]` or, split in heads, `[B, h, N, D]`; not rotated by RoPE.
        grid: the video's tokens, which begin at `front` in the sequence.
        pairs: first frames of the frame pairs.
        threshold: -1 to 1; -1 sets no threshold.
        share: 0 to 1, of all token pairs.
    """
    candidates = len(pairs) * grid.area
    most = share_of(share, candidates)
    if most == 0:
        return None
    similarity = _similarity(features.narrow(-2, front, grid.tokens), grid, pairs)
    ranked, order = similarity.sort(dim=-1, descending=True, stable=True)
    passes = torch.ones_like(order[:, :most], dtype=torch.bool)
    if threshold > -1:
        passes = ranked[:, :most] >= threshold
        if not bool(passes.any()):
            return None
    chosen = torch.zeros_like(similarity, dtype=torch.bool)
    return chosen.scatter(-1, order[:, :most], passes)


def share_of(share: float, candidates: int) -> int:
    """How many of the candidates a share is, rounded down but for rounding errors."""
    return math.floor(share * candidates + 1e-6)


def merge_chosen(
    chosen: Tensor,
    grid: TokenGrid,
    pairs: tuple[int, ...],
    front: int = 0,
    back: int = 0,
    merged: int | None = None,
) -> Merging:
    """Merge the token pairs that `chosen` `[B, P * H * W]` names; rows with more of them are padded.

    Args:
        merged: how many every row merges, where the caller knows it: spares reading it off the device.
    """
    total = front + grid.tokens + back
    device = chosen.device
    fewest = int(chosen.sum(dim=-1).min()) if merged is None else merged
    after = total - fewest
    begin = torch.tensor(pairs, device=device)[:, None] * grid.area + torch.arange(grid.area, device=device)
    first = front + begin.flatten()
    leads = chosen.new_zeros((chosen.shape[0], total)).index_copy(1, first, chosen)
    gone = chosen.new_zeros((chosen.shape[0], total)).index_copy(1, first + grid.area, chosen)
    rank = (~gone).long().cumsum(dim=-1) - 1
    # A token that is gone finds its mean at its partner's place, one frame before.
    source = torch.where(gone, rank.roll(grid.area, dims=-1), rank)
    kept = gone.byte().argsort(dim=-1, stable=True)[:, :after]
    lead = leads.gather(1, kept)
    partner = kept + lead.long() * grid.area
    real = ~gone.gather(1, kept)
    sizes = (1.0 + lead.float()) * real.float()

    def members(x: Tensor) -> tuple[Tensor, Tensor]:
        return _take(x, kept), _take(x, partner)

    def merge(x: Tensor) -> Tensor:
        a, b = members(x)
        return a * 0.5 + b * 0.5

    return Merging(merge, lambda x: _take(x, source), members, sizes, total, after)


class _Run(NamedTuple):
    """A stretch of a sequence that is merged as a whole (`pairs` of frames) or kept (0)."""

    begin: int
    tokens: int
    pairs: int


def _runs(grid: TokenGrid, pairs: tuple[int, ...], front: int, back: int) -> list[_Run]:
    runs: list[_Run] = []
    cursor = 0
    for frame in pairs:
        begin = front + frame * grid.area
        if begin > cursor:
            runs.append(_Run(cursor, begin - cursor, 0))
        if runs and runs[-1].pairs and runs[-1].begin + runs[-1].tokens == begin:
            last = runs.pop()
            runs.append(_Run(last.begin, last.tokens + 2 * grid.area, last.pairs + 1))
        else:
            runs.append(_Run(begin, 2 * grid.area, 1))
        cursor = begin + 2 * grid.area
    total = front + grid.tokens + back
    if total > cursor:
        runs.append(_Run(cursor, total - cursor, 0))
    return runs


def _run_members(x: Tensor, run: _Run, area: int) -> tuple[Tensor, Tensor]:
    part = x.narrow(-2, run.begin, run.tokens)
    if not run.pairs:
        return part, part
    both = part.unflatten(-2, (run.pairs, 2, area))
    return both.select(-3, 0).flatten(-3, -2), both.select(-3, 1).flatten(-3, -2)


def _run_mean(x: Tensor, run: _Run, area: int) -> Tensor:
    part = x.narrow(-2, run.begin, run.tokens)
    if not run.pairs:
        return part
    both = part.unflatten(-2, (run.pairs, 2, area))
    return torch.lerp(both.select(-3, 0), both.select(-3, 1), 0.5).flatten(-3, -2)


def _run_sources(runs: list[_Run], area: int, device: torch.device) -> Tensor:
    """Where in the merged sequence every token of the whole one finds its value, `[N]`."""
    parts, begin = [], 0
    for run in runs:
        count = run.pairs * area if run.pairs else run.tokens
        source = torch.arange(begin, begin + count, device=device)
        parts.append(source.view(run.pairs, 1, area).expand(-1, 2, -1).flatten() if run.pairs else source)
        begin += count
    return _join(parts, dim=-1)


def _join(parts: list[Tensor], dim: int = -2) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def _similarity(video: Tensor, grid: TokenGrid, pairs: tuple[int, ...]) -> Tensor:
    """Cosine similarity over the whole width of both tokens of every pair, `[B, P * H * W]`."""
    frames = video.unflatten(-2, (grid.frames, grid.area))
    first = torch.tensor(pairs, device=video.device)
    a = frames.index_select(-3, first).float()
    b = frames.index_select(-3, first + 1).float()
    sums = [(a * b).sum(-1), a.square().sum(-1), b.square().sum(-1)]
    if video.ndim == 4:
        sums = [value.sum(1) for value in sums]
    dot, length_a, length_b = sums
    return (dot / (length_a * length_b).sqrt().clamp_min(1e-12)).flatten(1)


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Tokens `[..., K, D]` of `[..., N, D]` by every row's own `index` `[B, K]`, copied whole."""
    rows = index.shape[0]
    if rows == 1:
        return x.index_select(-2, index[0])
    if x.ndim == 2:
        x = x[None]
    if x.shape[0] != rows:
        x = x.expand(rows, *x.shape[1:])
    inner = math.prod(x.shape[1:-2])
    start = torch.arange(rows * inner, device=x.device)[:, None] * x.shape[-2]
    flat = (index.repeat_interleave(inner, dim=0) + start).flatten()
    taken = x.reshape(-1, x.shape[-1]).index_select(0, flat)
    return taken.view(*x.shape[:-2], index.shape[1], x.shape[-1])
