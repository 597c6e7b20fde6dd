"""The few-step bench's bars say what its rows say."""

from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def row(way: str, evaluations: int, distance: float, **changes: float) -> dict[str, Any]:
    """A row of clips that show nearly everything."""
    shown = {"colour": 1.0, "shape": 0.94, "direction": 1.0, "all": 0.94, "motion": 0.02}
    return {"way": way, "evaluations": evaluations, **shown, "Frechet": distance, **changes}


def rows(**changes: dict[str, float]) -> list[dict[str, Any]]:
    import bench_fewstep

    made = [
        row("teacher, 25 steps", 50, 1.0),
        row("teacher, 4 steps", 8, 3.0),
        row("teacher, 2 steps", 4, 5.0),
        row("student, 4 steps", 4, 1.2, **changes.get("four", {})),
        row("student, 2 steps", 2, 1.3, **changes.get("two", {})),
        row("student, 1 step", 1, 1.5, **changes.get("one", {})),
    ]
    from fewstep.times import Seconds

    # A clip takes half a teacher's sampling besides its own.
    times = [(one["way"], 0.01 * one["evaluations"]) for one in made]
    seconds = {way: Seconds(spent, spent + 0.25) for way, spent in times}
    return bench_fewstep.with_times(made, seconds, seconds)


def missed(found: list[dict[str, Any]]) -> list[str]:
    import bench_fewstep

    return [bar.name for bar in bench_fewstep.bars_of(found) if not bar.met]


def test_a_good_student_meets_every_bar() -> None:
    found = rows()
    assert missed(found) == []
    assert found[3]["desk x"] == pytest.approx(0.08)
    assert found[3]["device clip x"] == pytest.approx(0.29 / 0.75)
    assert found[3]["motion ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"four": {"shape": 0.91}}, "adherence at 4 steps"),
        ({"two": {"colour": 0.95}}, "adherence at 2 steps"),
        ({"one": {"direction": 0.91}}, "adherence at 1 step "),
        ({"four": {"motion": 0.0188}}, "motion at 4 steps"),
        ({"two": {"motion": 0.0212}}, "motion at 2 steps"),
        ({"four": {"Frechet": 2.5}}, "teacher at 4 steps over"),
    ],
)
def test_what_a_student_loses_misses_its_bar(changes: dict[str, Any], name: str) -> None:
    (found,) = missed(rows(**changes))
    assert name in found


def test_a_student_that_is_not_faster_misses_two() -> None:
    found = rows()
    found[3] |= {"desk x": 0.11, "device x": 0.11}
    assert len(missed(found)) == 2
