"""Every sampler that ComfyUI has either leaps to the closed form or is refused with a sentence."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host.leap_whitebox import LEAP, STEPS
from host.server import SHIM, locate

SCRIPT = Path(__file__).with_name("leap_whitebox.py")
REFUSED = {
    "dpm_fast": "it chooses its own steps",
    "dpm_adaptive": "it chooses its own steps",
    "ar_video": "it runs the schedule once for every block of frames",
}
# Evaluations inside a step, where they are more than its own one.
INNER = {
    "heun": 2,
    "heunpp2": 3,
    "exp_heun_2_x0": 2,
    "exp_heun_2_x0_sde": 2,
    "dpm_2": 2,
    "dpm_2_ancestral": 2,
    "dpmpp_2s_ancestral": 2,
    "dpmpp_2s_ancestral_cfg_pp": 2,
    "dpmpp_sde": 2,
    "dpmpp_sde_gpu": 2,
    "seeds_2": 2,
    "seeds_3": 3,
    "sa_solver_pece": 2,
    "heun with churn": 2,
    "dpm_2 with churn": 2,
}


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    paths = locate()
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(paths.python), str(SHIM), str(SCRIPT), str(paths.comfyui)],
        capture_output=True,
        text=True,
        env=environ,
        cwd=paths.comfyui,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    looked: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return looked


def test_every_sampler_leaps_to_what_the_host_showed_or_is_refused(seen: dict[str, Any]) -> None:
    assert len(seen["samplers"]) > 40
    for name, look in seen["samplers"].items():
        if name in REFUSED:
            assert look["refused"].startswith(f"Leap cannot wrap {name}, because {REFUSED[name]}"), name
            continue
        assert "refused" not in look, look
        assert look["size"] > 1, name
        assert look["error"] < 1e-5 * look["size"], (name, look["error"])
        assert look["record"]["leap_steps"] == [LEAP, LEAP], name
        assert look["calls"] < look["plain_calls"], name
        if name not in INNER:
            assert look["calls"] == LEAP + 1, name


def test_a_leap_that_never_comes_changes_no_bit(seen: dict[str, Any]) -> None:
    changed = [name for name, look in seen["samplers"].items() if not look.get("untouched", True)]
    assert not changed


def test_progress_ends_at_the_last_step_with_what_comes_out(seen: dict[str, Any]) -> None:
    for name, look in seen["samplers"].items():
        if "refused" not in look:
            assert look["indices"] == [*range(LEAP), STEPS - 1], name
            assert look["last_told"] < 1e-6, name


def test_what_is_said_to_be_saved_is_saved(seen: dict[str, Any]) -> None:
    for name, look in seen["samplers"].items():
        if "refused" not in look:
            record = look["record"]
            assert record["evaluations"] == look["calls"], name
            # A sampler may do less in its last steps (heunpp2, sa_solver_pece): off by one inner evaluation.
            planned = record["evaluations"] + record["evaluations_saved"]
            assert abs(planned - look["plain_calls"]) < INNER.get(name, 1), (name, planned)


def test_a_given_first_frame_comes_out_as_it_went_in(seen: dict[str, Any]) -> None:
    assert seen["masked"]["error"] < 1e-6
    assert seen["masked"]["moved"] > 0.1


def test_a_model_of_curved_paths_leaps_and_is_said_to_be_approximate(seen: dict[str, Any]) -> None:
    look = seen["not a flow"]
    assert look["error"] < 1e-5
    assert look["record"]["approximate"] is True
    assert look["record"]["summary"].endswith(
        "approximate: this model's paths are not straight (noise prediction)."
    )
    assert seen["samplers"]["euler"]["record"]["approximate"] is False


def test_a_split_schedule_ends_at_its_own_noise(seen: dict[str, Any]) -> None:
    assert seen["split"]["error"] < 1e-5
    assert seen["split"]["calls"] == 6
    assert seen["split"]["indices"][-1] == 7


def test_a_video_in_a_batch_leaps_where_it_leaps_alone(seen: dict[str, Any]) -> None:
    batch = seen["batch"]
    assert batch["finite"]
    assert batch["steps"] == batch["alone"]
    assert batch["steps"][0] < batch["steps"][1]
    assert max(batch["errors"]) < 1e-6
    # The batch runs on until its last video has leapt.
    assert batch["calls"] == max(batch["calls_alone"]) == batch["steps"][1] + 1


def test_what_cannot_leap_is_refused_with_a_sentence(seen: dict[str, Any]) -> None:
    assert seen["refused"]["twice"].startswith("The sampler linked to Leap leaps already")
    assert seen["refused"]["not a KSAMPLER"].startswith("Leap cannot wrap a Sampler, because")
