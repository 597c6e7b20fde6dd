"""The few-step loop as a program: it learns, goes on after a kill bit by bit, and runs on two processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from unit.training.few_step_case import teacher

CASE = Path(__file__).with_name("few_step_case.py")
ALL = "regression,adversarial,distribution"


def run(folder: Path, *options: str, launcher: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, *launcher, str(CASE), str(folder), *options]
    # On the processor, whatever the machine has: two processes cannot share a GPU.
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})


def done(folder: Path, *options: str) -> dict[str, Tensor]:
    """The trained parameters of one process that ran to its end."""
    assert run(folder, *options).wait(timeout=300) == 0
    return load_file(folder / "raw-0.safetensors")


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """An uninterrupted run with every objective."""
    folder = tmp_path_factory.mktemp("few-step") / "whole"
    return folder, done(folder, "--objectives", f"{ALL},consistency")


def test_every_objective_gives_its_own_curve(whole: tuple[Path, dict[str, Tensor]]) -> None:
    folder, _ = whole
    lines = losses(folder)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert "adversarial" not in lines[0] and "adversarial" in lines[2]  # it begins at step 2
    names = {"regression", "distribution", "distribution.fake_score", "consistency", "adversarial.critic"}
    assert names <= set(lines[-1])
    assert (folder / "loss.png").stat().st_size > 1000


def test_fresh_noise_waits_for_its_step_and_has_no_target(tmp_path: Path) -> None:
    done(tmp_path, "--objectives", "regression", "--fresh-from", "3")
    distances = [line["regression"] for line in losses(tmp_path)]
    assert min(distances[:3]) > 0 and distances[3:] == [0.0, 0.0, 0.0]


def test_a_killed_run_goes_on_bit_by_bit(tmp_path: Path, whole: tuple[Path, dict[str, Tensor]]) -> None:
    folder, expected = tmp_path / "killed", whole[1]
    process = run(folder, "--objectives", f"{ALL},consistency")
    deadline = time.monotonic() + 240
    while not (folder / "checkpoint" / "custom_checkpoint_0.pkl").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = done(folder, "--objectives", f"{ALL},consistency")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    averaged = load_file(folder / "student-0.safetensors")
    for name, value in load_file(whole[0] / "student-0.safetensors").items():
        assert torch.equal(averaged[name], value), name


def two_processes(folder: Path, objectives: str, *options: str) -> list[dict[str, Tensor]]:
    """What each of two processes ends with that torchrun starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-addr", "127.0.0.1", "--master-port", port]
    assert run(folder, "--objectives", objectives, *options, launcher=launcher).wait(timeout=300) == 0
    return [load_file(folder / f"raw-{rank}.safetensors") for rank in (0, 1)]


def test_two_processes_stay_one_student(tmp_path: Path) -> None:
    first, second = two_processes(tmp_path / "two", ALL)
    for name, value in first.items():
        assert torch.equal(second[name], value), name
    # Whoever packs it later, in one process, still says so.
    assert said(tmp_path / "two", 0)["processes"] == 2
    done(tmp_path / "two", "--objectives", ALL)
    assert said(tmp_path / "two", 0)["processes"] == 2


def far(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """How far two students lie apart, in parts of the way from where they began."""
    begun = teacher().state_dict()

    def size(parts: list[Tensor]) -> float:
        return float(torch.cat([part.flatten() for part in parts]).norm())

    apart = size([found[name] - expected[name] for name in expected])
    return apart / size([expected[name] - begun[name] for name in expected])


def test_two_processes_are_one_of_twice_the_batch(tmp_path: Path) -> None:
    expected = done(tmp_path / "one", "--pair", "--objectives", "regression")
    found, _ = two_processes(tmp_path / "two", "regression")
    # Summing in another order moves single numbers, because the optimisers divide by a gradient's size.
    assert far(found, expected) < 0.05


def test_whoever_packs_a_run_says_how_many_threads_trained_it(tmp_path: Path) -> None:
    done(tmp_path, "--objectives", "regression", "--threads", "2")
    done(tmp_path, "--objectives", "regression")
    assert said(tmp_path, 0)["threads"] == 2


def said(folder: Path, rank: int) -> dict[str, int]:
    told: dict[str, int] = json.loads((folder / f"said-{rank}.json").read_text())
    return told


def test_a_sharded_student_is_the_same_and_lies_in_pieces(tmp_path: Path) -> None:
    """Torch's FSDP2 on two processes of a CPU, against DDP: each holds half, and losses are the same."""
    expected, _ = two_processes(tmp_path / "whole", ALL)
    first, second = two_processes(tmp_path / "pieces", ALL, "--shard")
    for name, value in first.items():
        assert torch.equal(second[name], value), name
    assert far(first, expected) < 0.05
    parameters = sum(value.numel() for value in expected.values())
    held = [said(tmp_path / "pieces", rank)["held"] for rank in (0, 1)]
    assert sum(held) == parameters and max(held) < 0.7 * parameters
    assert said(tmp_path / "whole", 0)["held"] == parameters
    for ours, theirs in zip(losses(tmp_path / "pieces"), losses(tmp_path / "whole"), strict=True):
        assert ours.keys() == theirs.keys()
        names = ours.keys() - {"seconds"}
        assert {n: ours[n] for n in names} == pytest.approx({n: theirs[n] for n in names}, rel=0.05, abs=0.02)


def test_a_sharded_run_goes_on_bit_by_bit(tmp_path: Path) -> None:
    expected, _ = two_processes(tmp_path / "whole", ALL, "--shard")
    two_processes(tmp_path / "half", ALL, "--shard", "--until", "3")
    found, _ = two_processes(tmp_path / "half", ALL, "--shard")
    assert said(tmp_path / "half", 0)["step"] == 6
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    averaged = [load_file(tmp_path / run / "student-0.safetensors") for run in ("half", "whole")]
    for name, value in averaged[0].items():
        assert torch.equal(averaged[1][name], value), name


def test_what_cannot_be_sharded_is_refused_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(CASE), str(tmp_path), "--shard", "--objectives", "consistency"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode != 0
    assert "which a sharded one cannot: leave --shard out" in ended.stderr


def test_lora_trains_its_own_layers_alone_and_merges(tmp_path: Path) -> None:
    folder = tmp_path / "lora"
    raw = done(folder, "--kind", "lora", "--objectives", ALL, "--precision", "bf16")
    merged = load_file(folder / "student-0.safetensors")
    base = {name.replace(".base_layer.", "."): value for name, value in raw.items() if "lora_" not in name}
    assert base.keys() == merged.keys()
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    assert changed and all(name.endswith("weight") for name in changed)
    assert "blocks.0.attn.qkv.weight" in changed and "x_embedder.proj.weight" in changed
    rank = {value.shape[0] for name, value in raw.items() if "lora_A" in name}
    assert rank == {2}
