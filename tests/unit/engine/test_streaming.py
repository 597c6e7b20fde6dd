"""Weights within a budget: the same numbers, the memory that was asked for, and no harm from broken files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, WeightsError
from comfyui_pocketvideo.mobile_runtime.engine import Cancelled, EngineError, run_bundle, self_test
from comfyui_pocketvideo.mobile_runtime.engine.memory import rss_bytes
from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component, SessionOptions
from comfyui_pocketvideo.mobile_runtime.engine.streaming.budgeted import BudgetedWeights
from comfyui_pocketvideo.mobile_runtime.engine.streaming.weights import MappedWeights

from unit.engine import heavy, small

ROOM = 60 * 10**6
PLENTY = 2**40


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return heavy.build(tmp_path_factory.mktemp("heavy") / "bundle")


@pytest.fixture(scope="module")
def truth(bundle: Bundle) -> np.ndarray:
    with Component(bundle, "net", SessionOptions(2)) as component:
        return component.run(heavy.tokens())["tokens"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if "pocketvideo-reader" in thread.name]


def budgeted(bundle: Bundle, room: int = ROOM, prefetch: bool | None = None) -> Component:
    """The network with `room` bytes more than this process has now."""
    source = BudgetedWeights(bundle, "net", (rss_bytes() or 0) + room, prefetch)
    return Component(bundle, "net", SessionOptions(2), source)


@pytest.mark.parametrize("prefetch", [None, True, False])
@pytest.mark.parametrize("room", [ROOM, PLENTY])
def test_streamed_weights_give_the_same_bits(
    bundle: Bundle, truth: np.ndarray, room: int, prefetch: bool | None
) -> None:
    with budgeted(bundle, room, prefetch) as component:
        for _ in range(4):
            assert np.array_equal(component.run(heavy.tokens())["tokens"], truth)
        report = component.report()
    assert report.held + report.streamed == heavy.BLOCKS and report.passes == 4
    assert report.held == heavy.BLOCKS if room == PLENTY else 0 < report.held < heavy.BLOCKS
    assert report.held_bytes + report.streamed_bytes >= heavy.BLOCKS * heavy.BLOCK_BYTES
    assert report.run_seconds > 0 and report.waited_seconds > 0
    assert (report.load_seconds > 0) is (report.streamed > 0)
    if prefetch is not None:
        assert report.prefetched is prefetch


PROGRAM = """
import sys
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine.errors import EngineError
from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component, SessionOptions
import numpy as np
def status(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) * 1024
budget = int(sys.argv[2]) or None
tokens = np.ones((int(sys.argv[4]), int(sys.argv[3])), np.float32)
try:
    with Component(Bundle.open(sys.argv[1]), "net", SessionOptions(2), memory_budget=budget) as component:
        # The arena keeps its first region for good: let that be a small one.
        component.run({"tokens": tokens[:3]})
        for _ in range(6):
            component.run({"tokens": tokens})
        report = component.report()
    now = status("VmRSS")
    print(status("VmHWM"), report.peak_rss_bytes, report.held, report.streamed, report.held_bytes, now)
except EngineError as error:
    print(error)
"""


def in_new_process(
    bundle: Bundle, budget: int, width: int = heavy.WIDTH, rows: int = 3, program: str = PROGRAM
) -> str:
    folder = bundle.path("workflow.json").parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(budget), str(width), str(rows)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_system_itself_counts_no_more_than_the_budget(bundle: Bundle) -> None:
    resident = int(in_new_process(bundle, 0).split()[0])
    half = resident - heavy.BLOCKS * heavy.BLOCK_BYTES // 2
    peak, reported, held, streamed, held_bytes, _ = map(int, in_new_process(bundle, half).split())
    assert peak <= half and reported <= half
    assert 0 < held < heavy.BLOCKS and streamed == heavy.BLOCKS - held
    # What the budget allows is used: at most two blocks and the spare are left over.
    assert peak > half - 3 * heavy.BLOCK_BYTES
    assert held_bytes >= heavy.BLOCK_BYTES * held


def test_a_budget_that_is_too_small_says_how_much_would_do(bundle: Bundle) -> None:
    said = in_new_process(bundle, 20 * 10**6)
    assert re.fullmatch(r"The memory budget of 20 MB cannot hold one block of the component 'net'.*\.", said)
    enough = int(re.search(r"at least (\d+) MB", said)[1]) * 10**6  # type: ignore[index]
    peak, *_ = map(int, in_new_process(bundle, enough).split())
    assert peak <= enough


ROWS = 2500
WIDE_BYTES = ROWS * heavy.WIDE * 4


def test_a_closed_network_gives_its_activations_back(tmp_path: Path) -> None:
    bundle = heavy.wide(tmp_path / "wide", kinds=1)
    peak, *_, now = map(int, in_new_process(bundle, 0, heavy.NARROW, ROWS).split())
    assert now < peak - WIDE_BYTES / 2


def test_kinds_of_blocks_share_the_memory_of_their_activations(tmp_path: Path) -> None:
    bundles = [heavy.wide(tmp_path / str(kinds), kinds) for kinds in (1, 2)]
    peaks = [int(in_new_process(bundle, 0, heavy.NARROW, ROWS).split()[0]) for bundle in bundles]
    assert peaks[1] < peaks[0] + WIDE_BYTES / 2


def test_the_self_test_runs_within_a_budget(bundle: Bundle) -> None:
    assert self_test(bundle, threads=1, memory_budget=(rss_bytes() or 0) + ROOM)["net"].psnr > 60
    with pytest.raises(EngineError, match="give at least"):
        self_test(bundle, threads=1, memory_budget=10**6)


@pytest.fixture
def own(bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle of one's own to damage: links would be refused, so the files are copied."""
    folder = bundle.path("workflow.json").parent
    for path in folder.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return Bundle.open(tmp_path)


def damage(path: Path, how: str) -> None:
    if how == "cut":
        os.truncate(path, 4096)
    elif how == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "emptied", "removed"])
@pytest.mark.parametrize("prefetch", [True, False])
def test_a_file_that_is_damaged_while_it_streams_ends_the_run_in_a_sentence(
    own: Bundle, prefetch: bool, how: str
) -> None:
    victim = "weights/07.safetensors"
    with budgeted(own, 40 * 10**6, prefetch) as component:
        for _ in range(3):
            component.run(heavy.tokens())
        checks = 0

        def check() -> None:
            nonlocal checks
            checks += 1
            if checks == 3:
                damage(own.path(victim), how)

        with pytest.raises(EngineError, match=rf"{victim} of the component 'net' cannot be read") as caught:
            component.run(heavy.tokens(), check)
        assert "\n" not in str(caught.value) and checks == 7


def test_a_held_file_that_is_cut_ends_the_run_and_not_the_process(own: Bundle) -> None:
    with budgeted(own, PLENTY) as component:
        for _ in range(3):
            component.run(heavy.tokens())
        damage(own.path("weights/07.safetensors"), "cut")
        with pytest.raises(EngineError, match=r"weights/07.safetensors .* cannot be read"):
            component.run(heavy.tokens())


def test_a_resident_file_that_is_cut_ends_the_run_and_not_the_process(own: Bundle) -> None:
    with Component(own, "net", SessionOptions(1)) as component:
        component.run(heavy.tokens())
        damage(own.path("weights/07.safetensors"), "cut")
        with pytest.raises(WeightsError, match="has 4096 bytes now"):
            component.run(heavy.tokens())


@pytest.mark.parametrize("prefetch", [True, False])
def test_a_run_that_is_stopped_can_be_started_again(
    bundle: Bundle, truth: np.ndarray, prefetch: bool
) -> None:
    with budgeted(bundle, ROOM, prefetch) as component:
        for stop_at in (1, 5, 12):
            checks = 0

            def check(stop_at: int = stop_at) -> None:
                nonlocal checks
                checks += 1
                if checks == stop_at:
                    raise Cancelled("enough")

            with pytest.raises(Cancelled):
                component.run(heavy.tokens(), check)
            assert checks == stop_at
            assert np.array_equal(component.run(heavy.tokens())["tokens"], truth)
    # The fixture sees that the reader's thread has gone; a closed component opens again.
    assert np.array_equal(component.run(heavy.tokens())["tokens"], truth)
    component.close()


SHAPES = """
import sys
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component, SessionOptions
import numpy as np
budget = int(sys.argv[2])
with Component(Bundle.open(sys.argv[1]), "net", SessionOptions(2), memory_budget=budget) as component:
    for rows in (3, 1500):
        for _ in range(2):
            component.run({"tokens": np.ones((rows, int(sys.argv[3])), np.float32)})
        print(component.report().held, end=" ")
"""


def test_a_new_shape_is_measured_anew(bundle: Bundle) -> None:
    # In a process of its own: what other tests have left free here would be taken first.
    resident = int(in_new_process(bundle, 0).split()[0])
    budget = resident - 3 * heavy.BLOCK_BYTES
    few, many = map(int, in_new_process(bundle, budget, program=SHAPES).split())
    assert 0 < many < few


class Counting(MappedWeights):
    """Notes what is taken."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.taken: list[str] = []
        self.keys: list[Hashable] = []

    def begin(self, order: Sequence[str], key: Hashable) -> None:
        self.keys.append(key)
        super().begin(order, key)

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        self.taken.append(path)
        return super().take(path)


def test_evaluations_side_by_side_are_those_alone_and_take_the_weights_once(bundle: Bundle) -> None:
    source = Counting(bundle)
    first, second = heavy.tokens(3, seed=1), heavy.tokens(5, seed=2)
    with Component(bundle, "net", SessionOptions(2), source) as component:
        together = component.run_each([first, second])
        assert source.taken == [stage["weights"] for stage in component.spec["stages"]]
        for made, alone in zip(together, (first, second), strict=True):
            assert np.array_equal(made["tokens"], component.run(alone)["tokens"])
    assert len(set(source.keys)) == 3, "two shapes and their pair each need memory of their own"


def test_a_guided_bundle_streams_each_block_once_a_step(tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")
    plain = run_bundle(bundle, {"steps": 5}, threads=1, output_dir=tmp_path / "a")
    budget = (rss_bytes() or 0) + ROOM
    result = run_bundle(bundle, {"steps": 5}, threads=1, output_dir=tmp_path / "b", memory_budget=budget)
    assert np.array_equal(plain.frames, result.frames)
    assert result.evaluations == plain.evaluations == 10
    assert result.weights.keys() == bundle.manifest["components"].keys()
    assert result.weights["denoiser"].passes == 5
    assert result.weights["denoiser"].budget_bytes == budget
    assert plain.weights["denoiser"].budget_bytes is None
    assert result.peak_rss_bytes is not None
    with pytest.raises(EngineError, match="cannot hold one block"):
        run_bundle(bundle, threads=1, output_dir=tmp_path / "c", memory_budget=10**6)
