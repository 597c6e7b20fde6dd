"""Rows and bars from the raw figures of `shapes` and `attention`."""

from __future__ import annotations

from statistics import fmean, median, quantiles
from typing import Any

from report import Bar

# The ways' names are written once, in `variants`, which needs ComfyUI; these are the ones that bars speak of.
BASE = "base"
LEAP = "Leap, adaptive"
EASYCACHE = "EasyCache, default"
EASYCACHE_EQUAL = "EasyCache, evaluations of Leap"
PAIRS = "Merge pairs, first half"
SIMILAR = "Merge similar, first half"
BOTH = "Leap + Merge similar"

ADHERENCE = ("colour", "shape", "motion")
Row = dict[str, Any]


def shapes_rows(grids: list[dict[str, Any]]) -> list[Row]:
    """One row per grid and way: medians of seconds, means of quality over all prompts."""
    rows = []
    for grid in grids:
        base = grid["ways"][BASE]["clips"]
        for name, way in grid["ways"].items():
            clips = way["clips"]

            def mean(key: str, of: list[Row] = clips) -> float:
                return fmean(clip[key] for clip in of)

            def faster(key: str, clips: list[Row] = clips, base: list[Row] = base) -> float:
                return median(a[key] / b[key] for a, b in zip(base, clips, strict=True))

            decibels = [clip["psnr"] for clip in clips if clip["psnr"] is not None]
            rows.append(
                {
                    "grid": grid["grid"],
                    "way": name,
                    "evaluations": round(mean("evaluations"), 1),
                    "s sampling": round(median(clip["seconds"] for clip in clips), 3),
                    "speed-up": round(faster("seconds"), 2),
                    "s whole": round(median(clip["whole_seconds"] for clip in clips), 3),
                    "whole speed-up": round(faster("whole_seconds"), 2),
                    "PSNR dB": round(fmean(decibels), 1) if decibels else None,
                    "worst PSNR dB": round(min(decibels), 1) if decibels else None,
                    "SSIM": round(mean("ssim"), 3),
                    **{name: round(mean(f"{name}_found"), 3) for name in ADHERENCE},
                    "motion ratio": round(mean("motion") / fmean(clip["motion"] for clip in base), 3),
                    "flicker ratio": round(mean("flicker") / fmean(clip["flicker"] for clip in base), 3),
                }
            )
    return rows


def shapes_bars(rows: list[Row]) -> list[Bar]:
    """The issue's bars 1 and 2 on every grid, the paper's grid first."""
    bars = []
    for grid in dict.fromkeys(row["grid"] for row in rows):
        ways = {row["way"]: row for row in rows if row["grid"] == grid}
        bars += _leap_bars(grid, ways)
        if SIMILAR in ways:
            bars += _merge_bars(grid, ways)
    return bars


def _leap_bars(grid: str, ways: dict[str, Row]) -> list[Bar]:
    leap, both = ways[LEAP], ways[BOTH]
    bars = [
        *_speed(grid, LEAP, leap, 1.6),
        *_quality(grid, LEAP, leap, ways[BASE], points=1, motion=3),
    ]
    for name in (EASYCACHE, EASYCACHE_EQUAL):
        other = ways[name]
        figure = (
            f"{leap['PSNR dB']} dB in {leap['evaluations']} evaluations, "
            f"EasyCache {other['PSNR dB']} dB in {other['evaluations']}"
        )
        met = _decibels(leap) > _decibels(other)
        bars.append(Bar(f"{grid} grid: Leap is nearer to the base than {name}", figure, "higher PSNR", met))
    return [
        *bars,
        *_speed(grid, BOTH, both, 1.9),
        *_quality(grid, BOTH, both, ways[BASE], points=2, motion=5),
    ]


def _speed(grid: str, name: str, row: Row, goal: float) -> list[Bar]:
    figure = f"{row['speed-up']:.2f}x sampling, {row['whole speed-up']:.2f}x with text and decoder"
    return [Bar(f"{grid} grid: {name}, speed", figure, f"{goal}x sampling or more", row["speed-up"] >= goal)]


def _quality(grid: str, name: str, row: Row, base: Row, points: int, motion: int) -> list[Bar]:
    changes = {key: 100 * (row[key] - base[key]) for key in ADHERENCE}
    worst = min(changes.values())
    figure = ", ".join(f"{key} {change:+.1f}" for key, change in changes.items())
    return [
        Bar(
            f"{grid} grid: {name}, prompt adherence against base in points",
            figure,
            f"none falls by more than {points}",
            worst >= -points,
        ),
        _motion_bar(grid, name, row, motion),
    ]


def _motion_bar(grid: str, name: str, row: Row, percent: int) -> Bar:
    ratio = row["motion ratio"]
    goal = f"{1 - percent / 100:.2f} to {1 + percent / 100:.2f}"
    return Bar(f"{grid} grid: {name}, motion ratio", f"{ratio:.3f}", goal, abs(ratio - 1) <= percent / 100)


def _merge_bars(grid: str, ways: dict[str, Row]) -> list[Bar]:
    similar, pairs = ways[SIMILAR]["motion ratio"], ways[PAIRS]["motion ratio"]
    return [
        _motion_bar(grid, SIMILAR, ways[SIMILAR], 3),
        Bar(
            f"{grid} grid: motion that pairs loses over the same window",
            f"pairs {pairs:.3f}, similar {similar:.3f}",
            "pairs loses more",
            pairs < similar and abs(pairs - 1) > abs(similar - 1),
        ),
    ]


def _decibels(row: Row) -> float:
    """A way that equals the base is as near as can be."""
    return float("inf") if row["PSNR dB"] is None else float(row["PSNR dB"])


PARTS = ("self-attention", "cross-attention", "block", "forward")


def attention_rows(families: list[dict[str, Any]]) -> list[Row]:
    """One row per family and part of a forward pass: seconds without and with merged pairs."""
    rows = []
    for family in families:
        repetitions = family["merge"]
        for part in PARTS:
            rows.append(
                {
                    "model": family["family"],
                    "tokens": family["tokens"],
                    "blocks": family["blocks"],
                    "part": part,
                    "s off": round(median(one["off"][part] for one in repetitions), 3),
                    "s pairs merged": round(median(one["pairs"][part] for one in repetitions), 3),
                    "ratio": round(_ratio(repetitions, "pairs", part), 3),
                }
            )
    return rows


def attention_bars(families: list[dict[str, Any]]) -> list[Bar]:
    """The issue's bar 3 for every family."""
    bars = []
    for family in families:
        ratio = _ratio(family["merge"], "pairs", "self-attention")
        block = _ratio(family["merge"], "pairs", "block")
        bars.append(
            Bar(
                f"{family['family']}: time of self-attention with pairs merged, {family['tokens']} tokens",
                f"{ratio:.3f} of what it was, blocks {block:.3f}",
                "0.35 or less",
                ratio <= 0.35,
            )
        )
        overheads = [one["inactive"]["forward"] / one["off"]["forward"] - 1 for one in family["overhead"]]
        low, middle, high = (
            quantiles(overheads, n=4, method="inclusive") if len(overheads) > 1 else overheads * 3
        )
        bars.append(
            Bar(
                f"{family['family']}: forward pass with Merge attached but inactive, "
                f"{family['short_tokens']} tokens",
                f"{middle:+.2%} (half of {len(overheads)} pairs between {low:+.2%} and {high:+.2%})",
                "under +1%",
                middle < 0.01,
            )
        )
    return bars


def _ratio(repetitions: list[dict[str, dict[str, float]]], name: str, part: str) -> float:
    """The median of the repetitions' own ratios to "off"."""
    return median(one[name][part] / one["off"][part] for one in repetitions)
