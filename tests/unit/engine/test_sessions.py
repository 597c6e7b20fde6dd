"""Graphs are loaded once and kept: for the next run, for another bundle, bounded, not with a budget."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine import EngineError, Sessions, run_bundle, self_test
from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component, SessionOptions

from unit.engine import small

OPTIONS = SessionOptions(1)
PLENTY = 2**40


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small.build(tmp_path_factory.mktemp("small") / "bundle")


def graphs(bundle: Bundle) -> dict[str, bytes]:
    paths = [path for spec in bundle.manifest["components"].values() for path in spec["graphs"].values()]
    return {path: bundle.read(path) for path in paths}


def test_a_second_run_loads_nothing_and_makes_the_same_video(bundle: Bundle, tmp_path: Path) -> None:
    sessions = Sessions()
    first = run_bundle(bundle, {"seed": "4"}, threads=1, output_dir=tmp_path, sessions=sessions)
    again = run_bundle(bundle, {"seed": "4"}, threads=1, output_dir=tmp_path, sessions=sessions)
    alone = run_bundle(bundle, {"seed": "4"}, threads=1, output_dir=tmp_path)
    assert first.graphs_loaded == alone.graphs_loaded == sessions.count == len(graphs(bundle))
    assert again.graphs_loaded == 0
    assert np.array_equal(first.frames, again.frames) and np.array_equal(first.frames, alone.frames)
    other = run_bundle(bundle, {"seed": "5"}, threads=1, output_dir=tmp_path, sessions=sessions)
    assert not np.array_equal(other.frames, first.frames)
    # Threads are a session's own.
    assert run_bundle(bundle, {}, threads=2, output_dir=tmp_path, sessions=sessions).graphs_loaded > 0


def test_another_bundle_with_other_weights_shares_its_graphs(bundle: Bundle, tmp_path: Path) -> None:
    sessions = Sessions()
    student = small.build(tmp_path / "student", numbers=small.weights(1))
    run_bundle(bundle, {}, threads=1, output_dir=tmp_path, sessions=sessions)
    shared = run_bundle(student, {}, threads=1, output_dir=tmp_path, sessions=sessions)
    assert shared.graphs_loaded == 0
    assert np.array_equal(shared.frames, run_bundle(student, {}, threads=1, output_dir=tmp_path).frames)


def test_what_the_self_test_loaded_the_run_finds(bundle: Bundle, tmp_path: Path) -> None:
    sessions = Sessions()
    tested = self_test(bundle, threads=1, sessions=sessions)
    known = sum(len(bundle.manifest["components"][name]["graphs"]) for name in tested)
    assert known == sessions.count > 0
    made = run_bundle(bundle, {}, threads=1, output_dir=tmp_path, sessions=sessions)
    assert made.graphs_loaded == len(graphs(bundle)) - known


def test_a_memory_budget_keeps_nothing(bundle: Bundle, tmp_path: Path) -> None:
    sessions = Sessions()
    self_test(bundle, threads=1, memory_budget=PLENTY, sessions=sessions)
    made = run_bundle(bundle, {}, threads=1, memory_budget=PLENTY, output_dir=tmp_path, sessions=sessions)
    assert made.graphs_loaded == len(graphs(bundle)) and sessions.count == 0


def test_the_least_recently_used_graph_goes_first(bundle: Bundle) -> None:
    (first, one), (second, two), (third, three) = list(graphs(bundle).items())[:3]
    sessions = Sessions(limit=2)
    kept, _ = sessions.get(first, one, OPTIONS)
    sessions.get(second, two, OPTIONS)
    assert sessions.get(first, one, OPTIONS) == (kept, False)
    assert sessions.get(third, three, OPTIONS)[1] and sessions.count == 2
    assert not sessions.get(first, one, OPTIONS)[1] and sessions.get(second, two, OPTIONS)[1]


def test_threads_that_want_the_same_graph_get_one_session(bundle: Bundle) -> None:
    path, data = next(iter(graphs(bundle).items()))
    sessions, ready = Sessions(), threading.Barrier(4)

    def ask() -> object:
        ready.wait(30)
        return sessions.get(path, data, OPTIONS)[0]

    with ThreadPoolExecutor(4) as pool:
        found = [task.result() for task in [pool.submit(ask) for _ in range(4)]]
    assert len(set(map(id, found))) == 1 and sessions.count == 1


def test_a_graph_that_onnxruntime_refuses_is_named(bundle: Bundle) -> None:
    path, data = next(iter(graphs(bundle).items()))
    # An operator that devices allow, and that takes one input.
    broken = data.replace(b"Mul", b"Cos")
    assert broken != data
    sessions = Sessions()
    with pytest.raises(EngineError, match=f"cannot load {path}"):
        sessions.get_all({path: broken}, OPTIONS)
    assert sessions.count == 0


def test_all_graphs_of_a_component_are_loaded_before_its_first_evaluation(bundle: Bundle) -> None:
    sessions = Sessions()
    with Component(bundle, "denoiser", OPTIONS, sessions=sessions) as component:
        component.open()
        assert component.loaded == sessions.count == len(component.spec["graphs"]) > 1
    with Component(bundle, "denoiser", OPTIONS, sessions=sessions) as component:
        component.open()
        assert component.loaded == 0
