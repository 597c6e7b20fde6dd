"""Phases of a few-step training: what changes from which step on, and how the learning rate begins anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo.training.fewstep.drawing import DrawConfig
from comfyui_pocketvideo.pocketvideo.training.fewstep.phases import Phase, Phases
from comfyui_pocketvideo.pocketvideo.training.loop import cosine_with_warmup

from unit.training.test_few_step_trainer import done, losses


def test_a_phase_begins_with_warmup_at_its_own_peak() -> None:
    rate = Phases(300, (Phase(200, peak=0.5),)).rate(begin=0, updates=1, warmup=10, final_lr=0.1)
    first, second = cosine_with_warmup(200, 10, 0.1), cosine_with_warmup(100, 10, 0.1)
    assert [rate(step) for step in range(200)] == [first(step) for step in range(200)]
    assert [rate(200 + step) for step in range(100)] == [0.5 * second(step) for step in range(100)]


def test_the_first_phase_is_what_a_run_without_phases_would_be() -> None:
    with_phase = Phases(300, (Phase(200, peak=0.5),)).rate(begin=30, updates=2, warmup=10, final_lr=0.1)
    alone = Phases(200).rate(begin=30, updates=2, warmup=10, final_lr=0.1)
    assert [with_phase(count) for count in range(340)] == [alone(count) for count in range(340)]
    # Two updates a step: the second phase begins at the network's update 340, at its own first rate.
    assert with_phase(340) == pytest.approx(0.05) and with_phase(349) == pytest.approx(0.5)


def test_a_network_that_begins_in_a_later_phase_follows_that_one() -> None:
    rate = Phases(300, (Phase(200, peak=0.5),)).rate(begin=240, updates=1, warmup=10, final_lr=0.1)
    expected = cosine_with_warmup(60, 10, 0.1)
    assert [rate(count) for count in range(60)] == [0.5 * expected(count) for count in range(60)]


def test_weights_and_draws_change_from_the_phases_first_step_on() -> None:
    later = Phase(4, weights={"regression": 0.5}, draw={"fresh": 0.75, "weights": [3, 1], "fresh_from": 2})
    phases = Phases(10, (later,))
    draw = DrawConfig(batch=2, starts=(0, 2), weights=(1, 1), fresh=0.5, fresh_from=2)
    weights = {"regression": 1.0, "distribution": 2.0}
    assert phases.weights(3, weights) == weights
    assert phases.weights(4, weights) == {"regression": 0.5, "distribution": 2.0}
    assert [phases.draw(step, draw).fresh for step in (0, 1, 2, 3, 4, 9)] == [0, 0, 0.5, 0.5, 0.75, 0.75]
    assert phases.draw(3, draw).weights == (1, 1) and phases.draw(4, draw).weights == (3, 1)


@pytest.mark.parametrize("at", [(0,), (10,), (6, 4), (4, 4)])
def test_phases_that_are_out_of_order_are_refused(at: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"train\.phases"):
        Phases(10, tuple(Phase(step) for step in at))


def test_a_run_changes_in_its_phase_and_not_before(tmp_path: Path) -> None:
    phase = {"at": 3, "weights": {"regression": 0.25}, "draw": {"fresh": 1.0}, "peak": 0.5}
    done(tmp_path / "plain", "--objectives", "regression,distribution")
    done(tmp_path / "phased", "--objectives", "regression,distribution", "--phase", json.dumps(phase))
    plain, phased = losses(tmp_path / "plain"), losses(tmp_path / "phased")
    # The learning rate of the first phase ends at step 3 instead of 6, so only the first loss is the same.
    assert phased[0]["loss"] == plain[0]["loss"]
    assert [line["loss"] / line["distribution"] for line in phased[3:]] == pytest.approx([0.5] * 3)
    assert [line["regression"] for line in phased[3:]] == [0.0] * 3  # fresh noise has no target
    assert min(line["regression"] for line in plain) > 0


def test_a_run_goes_on_in_its_phase_bit_by_bit(tmp_path: Path) -> None:
    phase = json.dumps({"at": 3, "weights": {"regression": 0.25}, "peak": 0.5})
    whole = done(tmp_path / "whole", "--objectives", "regression", "--phase", phase)
    for until in ("2", "4", "6"):
        parts = done(tmp_path / "parts", "--objectives", "regression", "--phase", phase, "--until", until)
    assert all(parts[name].equal(value) for name, value in whole.items())
