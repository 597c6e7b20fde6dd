"""The live view: a run's event files hold its curves, once each, and its pictures."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.pocketvideo.training.fewstep.__main__ import TRACKERS
from comfyui_pocketvideo.pocketvideo.training.tracking import TRACKERS as KNOWN
from comfyui_pocketvideo.pocketvideo.training.tracking import LiveView
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unit.training.parent_case import CLIPS, write_parent
from unit.training.test_few_step_trainer import CASE, done, losses

PROGRAM = "comfyui_pocketvideo.pocketvideo.training.fewstep"


def events(folder: Path) -> Any:
    """What TensorBoard itself reads."""
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_a_stopped_run_goes_on_in_the_same_curves(tmp_path: Path) -> None:
    options = ("--objectives", "regression,adversarial", "--tracker", "tensorboard")
    done(tmp_path, *options, "--until", "4")
    done(tmp_path, *options)
    read = events(tmp_path)
    assert {"loss", "regression", "adversarial", "adversarial.critic"} <= set(read.Tags()["scalars"])
    points = read.Scalars("regression")
    lines = losses(tmp_path)
    assert [point.step for point in points] == [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [point.value for point in points] == pytest.approx([line["regression"] for line in lines])
    # It begins at step 2.
    assert [point.step for point in read.Scalars("adversarial")] == [3, 4, 5, 6]


def test_sample_grids_are_pictures(tmp_path: Path) -> None:
    assert TRACKERS == KNOWN
    view = LiveView(tmp_path, 0)
    view.picture("samples", Image.new("RGB", (40, 20), (255, 0, 0)), 3)
    view.close()
    (found,) = events(tmp_path).Images("samples")
    assert (found.step, found.width, found.height) == (3, 40, 20)


def test_a_run_shows_its_own_grid_of_samples_and_what_is_found_in_them(tmp_path: Path) -> None:
    """The command itself, on a parent of random weights: what it draws is what TensorBoard reads."""
    parent, folder = tmp_path / "parent", tmp_path / "student"
    write_parent(parent)
    recipe = {
        "base": "pocket_shapes_few_step",
        "name": "watched",
        "parent": str(parent / "recipe.json"),
        "trajectories": {"clips": CLIPS, "steps": 2, "bf16": False},
        "draw": {"batch": 2, "starts": [0], "weights": [1]},
        "train": {
            "steps": 2,
            "weights": {"distribution": None, "adversarial": None},
            "begin": {},
            "phases": None,
            "sample_every": 1,
            "mixed_precision": "no",
        },
        "sampling": {"sigmas": {"4": None, "2": None}},
    }
    (tmp_path / "watched.json").write_text(json.dumps(recipe))
    command = [sys.executable, "-m", PROGRAM, "--run", str(folder)]
    command += ["--recipe", str(tmp_path / "watched.json"), "--parent-run", str(parent / "run")]
    command += ["--parent", str(parent / "model.safetensors"), "--parent-run", str(parent / "run")]
    command += ["--stage", "train", "--tracker", "tensorboard"]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0, ended.stderr
    read = events(folder)
    shown = read.Images("samples")
    assert [picture.step for picture in shown] == [1, 2]
    grid = Image.open(folder / "samples.png").convert("RGB")
    last = Image.open(io.BytesIO(shown[-1].encoded_image_string)).convert("RGB")
    assert last.size == grid.size and last.tobytes() == grid.tobytes()
    told = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    curves = {name for name in read.Tags()["scalars"] if name.startswith("1 steps/")}
    assert curves == {f"1 steps/{name}" for name in told[0]["1"]} != set()
    for curve in curves:
        points = [(point.step, point.value) for point in read.Scalars(curve)]
        name = curve.partition("/")[2]
        assert points == [(line["step"], pytest.approx(line["1"][name])) for line in told]


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(CASE), str(tmp_path), "--tracker", "paper"], capture_output=True, text=True
    )
    assert ended.returncode != 0 and "There is no tracker 'paper': choose tensorboard" in ended.stderr
