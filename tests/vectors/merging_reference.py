"""Golden vectors of token merging, from its definition in plain loops: no merger of ours is asked.

A pair is a frame and the next: (0, 1), (2, 3), ... or (1, 2), (3, 4), ... where frame 0 is given or kept.
`pairs` merges both whole frames of every pair; `similar`, of all pairs of cells at one place in both frames,
the most alike, floor(share x pairs) of them. A merged token is the mean of its two members.
"""

from __future__ import annotations

import math
from typing import Any

CHANNELS = 3
ROUNDING = 1e-4
SHARES = (0.05, 0.3, 0.5, 1.0)
GRIDS = ((1, 2, 3), (2, 1, 1), (2, 2, 2), (3, 1, 4), (4, 2, 3), (5, 3, 2), (6, 1, 5))


def vectors() -> dict[str, Any]:
    """The file merging.json."""
    cases = []
    for grid in GRIDS:
        for keep, given in ((False, False), (True, False), (False, True)):
            cases.append(_case(grid, keep, given, None))
            cases += [_case(grid, keep, given, share) for share in SHARES]
    return {
        "about": (
            "Temporal token merging. merge: what the network is told (inputs, null where nothing merges) for"
            " a plan's merge field, a grid of F x H x W tokens and a first frame that is given or not;"
            " tokens [F, H, W, C] with what they become: merged [M, C], each standing for as many as sizes"
            " say, and unmerged [F, H, W, C]. similar ranks pairs by the cosine of their tokens; its merged"
            " row is the tokens in no pair, the first of every pair, the second of pairs that do not merge"
            " from the most alike on. window: whether an evaluation at sigma merges."
        ),
        "tolerance": 1e-5,
        "cases": cases + [_window(end, begin) for end, begin in ((0.5, None), (0.25, 0.8), (0.0, 1.0))],
    }


def _case(grid: tuple[int, int, int], keep: bool, given: bool, share: float | None) -> dict[str, Any]:
    import torch

    frames, height, width = grid
    merge: dict[str, Any] = {"mode": "pairs", "end": 0.5, "keep_first_frame": keep}
    if share is not None:
        merge |= {"mode": "similar", "share": share}
    x = torch.randn((*grid, CHANNELS), generator=torch.Generator().manual_seed(frames * 100 + height * width))
    starts = list(range(int(keep or given), frames - 1, 2))
    case = {
        "kind": "merge",
        "merge": merge,
        "first_frame_given": given,
        "grid": list(grid),
        "channels": CHANNELS,
        "tokens": _numbers(x),
    }
    nothing = {"inputs": None, "merged": None, "sizes": None, "unmerged": None}
    if share is None:
        return case | (_pairs(x, starts) if starts else nothing)
    return case | (_similar(x, starts, share) or nothing)


def _pairs(x: Any, starts: list[int]) -> dict[str, Any]:
    import torch

    seconds = {start + 1 for start in starts}
    firsts = [frame for frame in range(len(x)) if frame not in seconds]
    members = [(frame, frame + 1 if frame in starts else frame) for frame in firsts]
    source = [next(index for index, both in enumerate(members) if frame in both) for frame in range(len(x))]
    merged = torch.stack([(x[a] + x[b]) / 2 for a, b in members])
    sizes = [1.0 if a == b else 2.0 for a, b in members]
    area = x.shape[1] * x.shape[2]
    return {
        "inputs": {
            "merge_first": [a for a, _ in members],
            "merge_second": [b for _, b in members],
            "merge_source": source,
            "merge_sizes": sizes,
        },
        "merged": _numbers(merged),
        "sizes": [size for size in sizes for _ in range(area)],
        "unmerged": _numbers(torch.stack([merged[index] for index in source])),
    }


def _similar(x: Any, starts: list[int], share: float) -> dict[str, Any] | None:
    import torch

    area = x.shape[1] * x.shape[2]
    flat = x.reshape(-1, x.shape[-1])
    first = [frame * area + cell for frame in starts for cell in range(area)]
    # A share such as 0.3 of 10 is 3, whatever its binary form says.
    count = math.floor(share * len(first) + 1e-6)
    if count < 1:
        return None
    likeness = [
        float(torch.nn.functional.cosine_similarity(flat[at].double(), flat[at + area].double(), dim=0))
        for at in first
    ]
    ranked = sorted(range(len(first)), key=lambda pair: -likeness[pair])
    merging = set(ranked[:count])
    paired = {*first, *(at + area for at in first)}
    alone = [at for at in range(len(flat)) if at not in paired]
    row = [*alone, *first, *(at + area for at in first)]
    result = flat.clone()
    for pair in merging:
        at = first[pair]
        result[at] = result[at + area] = (flat[at] + flat[at + area]) / 2
    left = [first[pair] + area for pair in ranked[count:]]
    kept = [*alone, *first, *left]
    sizes = [1.0] * len(alone) + [1.0 + (pair in merging) for pair in range(len(first))] + [1.0] * len(left)
    return {
        "inputs": {
            "merge_alone": alone,
            "merge_first": first,
            "merge_second": [at + area for at in first],
            "merge_back": [row.index(at) for at in range(len(flat))],
            "merge_rest": list(range(count, len(first))),
        },
        "merged": _numbers(torch.stack([result[at] for at in kept])),
        "sizes": sizes,
        "unmerged": _numbers(result),
    }


def _window(end: float, begin: float | None) -> dict[str, Any]:
    """Sigmas around both ends: within a ten-thousandth a sigma counts as the end itself."""
    found = []
    for edge in (end, begin, 0.6):
        for factor in (1 - 3 * ROUNDING, 1.0, 1 + ROUNDING / 2, 1 + 3 * ROUNDING):
            sigma = (edge or 0.0) * factor
            begun = begin is None or sigma <= begin * (1 + ROUNDING)
            found.append([sigma, begun and sigma > end * (1 + ROUNDING)])
    merge: dict[str, Any] = {"mode": "pairs", "end": end, "keep_first_frame": False}
    if begin is not None:
        merge["begin"] = begin
    return {"kind": "window", "merge": merge, "sigmas": found}


def _numbers(tensor: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
