"""The bench of the engine says what its workers measured, and its workers run a network in every way."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unit.engine import heavy

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PARTS = ("summary", "plot", "fleet", "sources", "sessions")


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("report", "engine", *(f"engine.{part}" for part in PARTS)):
        monkeypatch.delitem(sys.modules, name, raising=False)


def ways(**changes: Any) -> dict[str, Any]:
    """What a run that meets every bar measured; a change is the seconds of a way, or its peak."""
    from engine import summary

    seconds = {
        summary.RESIDENT: 1.0,
        summary.HALF: 1.01,
        summary.FIFTH: 1.04,
        summary.COLD: 1.25,
        summary.TORCH: 1.1,
    }
    budgets = {summary.HALF: 500_000_000, summary.FIFTH: 200_000_000, summary.COLD: 200_000_000}
    made = {}
    for name, value in seconds.items():
        usual = changes.get("seconds", {}).get(name, value)
        budget = budgets.get(name)
        made[name] = summary.Measured(
            rounds=[[usual], [2 * usual], [usual]],
            peak=changes.get("peaks", {}).get(name, budget or 1_000_000_000),
            budget=budget,
            report={"held": 3, "streamed": 15, "prefetched": name == summary.COLD},
            digests=frozenset(changes.get("digests", {}).get(name, {"a"})),
        )
    return made


def missed(found: dict[str, Any]) -> list[str]:
    from engine.summary import speed_bars

    return [bar.name for bar in speed_bars(found) if not bar.met]


def test_a_row_tells_time_memory_and_blocks() -> None:
    from engine.summary import COLD, FIFTH, rows_of

    rows = {row["way"]: row for row in rows_of(ways())}
    assert rows[FIFTH] == {
        "way": FIFTH,
        "s per step": 1.04,
        "times resident": "1.04",
        "peak MB": 200,
        "% of resident peak": 20,
        "blocks held": 3,
        "streamed": 15,
        "thread": "no",
        "same bits": "yes",
    }
    assert rows[COLD]["thread"] == "yes"


def test_a_slow_round_slows_both_and_not_their_ratio() -> None:
    from engine.summary import Measured, ratio

    base = Measured([[1.0], [9.0], [1.0]], 1)
    assert ratio(Measured([[1.1], [9.9], [1.1]], 1), base) == pytest.approx(1.1)


def test_every_bar_can_be_missed() -> None:
    from engine.summary import COLD, FIFTH, HALF, TORCH

    assert missed(ways()) == []
    for name, slow, words in (
        (FIFTH, 1.06, "20 % of the resident peak"),
        (COLD, 1.31, "page cache dropped"),
        (HALF, 1.03, "50 %"),
        (TORCH, 0.99, "torch eager"),
    ):
        (bar,) = missed(ways(seconds={name: slow}))
        assert words in bar
    assert "VmHWM" in missed(ways(peaks={COLD: 200_000_001}))[0]
    assert "bits" in missed(ways(digests={HALF: {"b"}}))[0]


def test_the_other_bars_can_be_missed_too() -> None:
    from engine.summary import FIFTH, RESIDENT, export_bars, large_bars

    told = {"seconds": [40.0, 0.2], "pushed": [34_000_000, 9_000]}
    assert all(bar.met for bar in export_bars(told))
    assert not any(bar.met for bar in export_bars({"seconds": [40.0, 2.0], "pushed": [1, 100_000]}))
    found = {name: way for name, way in ways().items() if name in (RESIDENT, FIFTH)}
    assert [bar.met for bar in large_bars(found, 10**9)] == [True, True]
    assert [bar.met for bar in large_bars(found, 10**8)] == [False, True]


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    from engine.plot import draw
    from engine.summary import FIFTH, rows_of

    draw(rows_of(ways()), {FIFTH: 200_000_000}, tmp_path / "engine.png")
    assert (tmp_path / "engine.png").read_bytes()[:4] == b"\x89PNG"


def test_workers_run_a_network_in_every_way_and_tell_their_peak(tmp_path: Path) -> None:
    from engine.fleet import Fleet
    from engine.sessions import models_with_weights

    bundle = heavy.build(tmp_path / "bundle")
    np.savez(tmp_path / "inputs.npz", **heavy.tokens())
    (tmp_path / "models").mkdir()
    models = [str(path) for path in models_with_weights(bundle, "net", tmp_path / "models")]
    common: dict[str, Any] = {
        "way": "engine",
        "source": "engine",
        "bundle": str(tmp_path / "bundle"),
        "component": "net",
        "inputs": str(tmp_path / "inputs.npz"),
        "threads": 2,
        "budget": None,
        "prefetch": None,
    }
    sessions = {"way": "sessions", "models": models, "result": "tokens"}
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, stack)
        base = fleet.start("resident", common, 3)
        budget = base.peak - 6 * heavy.BLOCK_BYTES
        for name, changes in (
            ("budget", {"budget": budget}),
            ("cold", {"source": "cold", "budget": budget}),
            ("buffers", {"source": "buffers", "prefetch": True}),
            ("held", {**sessions, "held": True}),
            ("anew", {**sessions, "held": False}),
        ):
            fleet.start(name, {**common, **changes}, 3)
        fleet.run(rounds=2, steps=1)
        assert all(len(worker.rounds) == 2 for worker in fleet.workers.values())
        assert len({digest for worker in fleet.workers.values() for digest in worker.digests}) <= 2
        for name in ("budget", "cold"):
            worker = fleet.workers[name]
            assert worker.digests == base.digests and 0 < worker.peak <= budget
            assert 0 < worker.report["held"] < heavy.BLOCKS
        assert fleet.workers["buffers"].peak < base.peak
        processes = [worker.process for worker in fleet.workers.values()]
    assert all(process.poll() is not None for process in processes)


def test_a_worker_that_fails_says_why(tmp_path: Path) -> None:
    from engine.fleet import Fleet, WorkerError

    np.savez(tmp_path / "inputs.npz", tokens=np.zeros(3))
    spec = {"way": "sessions", "models": ["none.onnx"], "held": True, "inputs": str(tmp_path / "inputs.npz")}
    with ExitStack() as stack, pytest.raises(WorkerError, match=r"broken: .*none\.onnx"):
        Fleet(tmp_path, stack).start("broken", {**spec, "threads": 1}, 1)
