"""Our acceleration nodes and the host's, ready to be put into a graph, and what they said while it ran."""

from __future__ import annotations

import re

import torch

from .client import RunResult
from .families import Family
from .graphs import JSON, node

# Windows of one length: ComfyUI's own EasyCache fails on the frame that its causal fix adds to all
# windows but the first (Wan Context Windows does that), with or without our nodes.
WINDOWS = node(
    "ContextWindowsManual",
    context_length=5,
    context_overlap=1,
    context_schedule="standard_static",
    context_stride=1,
    closed_loop=False,
    fuse_method="pyramid",
    dim=2,
    freenoise=False,
    cond_retain_index_list="",
    split_conds_to_windows=False,
    latent_retain_index_list="",
    causal_window_fix=False,
)


def leap_at(step: int) -> JSON:
    """A Leap at a fixed evaluation, counted from 0."""
    return node("PocketVideoLeap", **{"mode": "fixed", "mode.step": step})


def until_leap_at(step: int, family: Family) -> JSON:
    """Options for `families.sample` that give the closed form of `leap_at(step)` in a run of four steps.

    A leap lands on the denoised prediction of its evaluation, which is what a plain run shows last when its
    sigmas end right behind that evaluation. With two experts of two steps each, each leaping at 0, both leaps
    are Euler steps of twice the length.
    """
    if family.low is not None:
        return {"steps": 2}
    return {"steps": 4, "sigmas": [node("SplitSigmas", step=step + 1)], "output": 1}


def merge_pairs(start: float = 0.0, end: float = 1.0) -> JSON:
    """Fixed pairs from `start` to `end` percent of the schedule."""
    return node("PocketVideoTemporalTokenMerge", mode="pairs", start_percent=start, end_percent=end)


def merge_similar(threshold: float = -1.0, share: float = 0.5, end: float = 1.0) -> JSON:
    """The most similar pairs: at most `share` of them, and none below `threshold`."""
    return node(
        "PocketVideoTemporalTokenMerge",
        **{"mode": "similar", "mode.threshold": threshold, "mode.share": share},
        start_percent=0.0,
        end_percent=end,
    )


def said(run: RunResult, words: str) -> list[str]:
    """The lines that nodes showed during a run and that hold `words`."""
    lines = [event.data["text"] for event in run.of_type("progress_text")]
    return [line for line in lines if words in line]


def merged_calls(run: RunResult) -> int:
    """Attention calls per step that a Merge said it merged: the smallest of its lines, 0 without a line."""
    found = [re.search(r"Merged (\d+) of (\d+) attention calls", line) for line in said(run, "Merged")]
    return min((int(match[1]) if match else 0 for match in found), default=0)


def assert_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    """Equal to `tolerance` of the expected tensor's largest value."""
    assert found.shape == expected.shape
    error = ((found - expected).abs().max() / expected.abs().max()).item()
    assert error <= tolerance, f"differs by {error:.2e} of the largest value"
