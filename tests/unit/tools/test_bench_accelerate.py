"""The bench's tables and bars say what the raw figures say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("report", "acceleration", "acceleration.summary", "acceleration.plot"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def clip(**changes: Any) -> dict[str, Any]:
    plain = {
        "evaluations": 30.0,
        "seconds": 3.0,
        "whole_seconds": 4.0,
        "psnr": None,
        "ssim": 1.0,
        "motion": 0.01,
        "flicker": 0.001,
        "colour_found": True,
        "shape_found": True,
        "motion_found": True,
    }
    return {**plain, **changes}


def a_grid(ways: dict[str, dict[str, Any]], clips: int = 3) -> dict[str, Any]:
    made = {name: {"settings": {}, "clips": [clip(**way)] * clips} for name, way in ways.items()}
    return {"grid": "a", "shift": 1.0, "steps": 30, "ways": made}


WAYS = {
    "base": {},
    "Leap, adaptive": {"evaluations": 18.0, "seconds": 1.8, "whole_seconds": 2.8, "psnr": 38.0},
    "EasyCache, default": {"evaluations": 18.5, "seconds": 1.9, "psnr": 12.0, "motion": 0.016},
    "EasyCache, evaluations of Leap": {"evaluations": 18.0, "seconds": 1.9, "psnr": 13.0},
    "Leap + Merge similar": {"evaluations": 15.0, "seconds": 1.5, "psnr": 30.0, "motion": 0.0096},
    "Merge pairs, first half": {"psnr": 23.0, "motion": 0.0085},
    "Merge similar, first half": {"psnr": 28.0, "motion": 0.0098},
}


def bars_of(ways: dict[str, dict[str, Any]]) -> dict[str, bool]:
    from acceleration.summary import shapes_bars, shapes_rows

    return {bar.name: bar.met for bar in shapes_bars(shapes_rows([a_grid(ways)]))}


def test_a_row_holds_medians_of_time_and_means_of_quality() -> None:
    from acceleration.summary import shapes_rows

    grid = a_grid(WAYS)
    # A stalled prompt must not move the speed-up.
    grid["ways"]["Leap, adaptive"]["clips"] = [
        clip(seconds=1.5, psnr=30.0),
        clip(seconds=90.0, psnr=40.0, colour_found=False),
        clip(seconds=1.5, psnr=50.0),
    ]
    base, leap, *_ = shapes_rows([grid])
    assert base["PSNR dB"] is None
    assert base["motion ratio"] == 1.0
    assert leap["speed-up"] == 2.0
    assert leap["PSNR dB"] == 40.0
    assert leap["worst PSNR dB"] == 30.0
    assert leap["colour"] == 0.667


def test_good_figures_meet_every_bar() -> None:
    assert all(bars_of(WAYS).values())


@pytest.mark.parametrize(
    ("way", "change", "missed"),
    [
        ("Leap, adaptive", {"seconds": 2.0}, "a grid: Leap, adaptive, speed"),
        ("Leap, adaptive", {"motion": 0.0104}, "a grid: Leap, adaptive, motion ratio"),
        (
            "Leap, adaptive",
            {"shape_found": False},
            "a grid: Leap, adaptive, prompt adherence against base in points",
        ),
        ("EasyCache, default", {"psnr": 39.0}, "a grid: Leap is nearer to the base than EasyCache, default"),
        ("Leap + Merge similar", {"seconds": 1.7}, "a grid: Leap + Merge similar, speed"),
        ("Merge similar, first half", {"motion": 0.0096}, "a grid: Merge similar, first half, motion ratio"),
        (
            "Merge pairs, first half",
            {"motion": 0.0099},
            "a grid: motion that pairs loses over the same window",
        ),
    ],
)
def test_a_figure_that_falls_short_misses_its_bar(way: str, change: dict[str, Any], missed: str) -> None:
    met = bars_of({**WAYS, way: {**WAYS[way], **change}})
    assert not met[missed]


def a_family(self_attention: float, forward: float) -> dict[str, Any]:
    parts = ("self-attention", "cross-attention", "block", "forward")
    off = dict.fromkeys(parts, 1.0)
    pairs = {**off, "self-attention": self_attention}
    return {
        "family": "Some model",
        "tokens": 4352,
        "short_tokens": 320,
        "blocks": 2,
        "merge": [{"off": off, "pairs": pairs}] * 3,
        "overhead": [{"off": off, "inactive": {**off, "forward": forward}}] * 3,
    }


@pytest.mark.parametrize(
    ("self_attention", "forward", "met"),
    [(0.3, 1.002, [True, True]), (0.36, 1.0, [False, True]), (0.3, 1.02, [True, False])],
)
def test_the_bars_of_large_models(self_attention: float, forward: float, met: list[bool]) -> None:
    from acceleration.summary import attention_bars, attention_rows

    families = [a_family(self_attention, forward)]
    assert [bar.met for bar in attention_bars(families)] == met
    assert attention_rows(families)[0]["ratio"] == self_attention


def test_the_picture_is_drawn_of_all_ways(tmp_path: Path) -> None:
    from acceleration.plot import draw
    from acceleration.summary import shapes_rows
    from PIL import Image

    draw(shapes_rows([a_grid(WAYS)]), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > picture.height > 300
        assert len(picture.convert("RGB").getcolors(1_000_000)) > 100
