"""What the bench of the app calls growth: the last look against the one at the end of the warm-up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("in_browser", "in_browser.curves"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_steady_leak_is_found_and_the_warm_up_is_not_counted() -> None:
    from in_browser.curves import Curve

    curve = Curve("one engine", 20, {1: 50, 20: 100, 120: 110, 220: 120})
    assert curve.growth == pytest.approx(0.2)
    assert [row["counts"] for row in curve.rows()] == ["no, warm-up", "yes", "yes", "yes"]


def test_what_comes_and_goes_between_is_no_leak() -> None:
    from in_browser.curves import Curve

    steady = {20 * look: 100 for look in range(1, 12)}
    assert Curve("app", 20, steady | {120: 130}).growth < 0.05
    assert Curve("app", 20, steady).growth == pytest.approx(0, abs=1e-9)
