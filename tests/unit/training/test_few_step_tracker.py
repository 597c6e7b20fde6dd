"""The live view: a run's event files hold its curves, once each, and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.pocketvideo.training.fewstep.__main__ import TRACKERS
from comfyui_pocketvideo.pocketvideo.training.tracking import TRACKERS as KNOWN
from comfyui_pocketvideo.pocketvideo.training.tracking import LiveView
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unit.training.test_few_step_trainer import done, losses


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


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    import subprocess
    import sys

    from unit.training.test_few_step_trainer import CASE

    ended = subprocess.run(
        [sys.executable, str(CASE), str(tmp_path), "--tracker", "paper"], capture_output=True, text=True
    )
    assert ended.returncode != 0 and "There is no tracker 'paper': choose tensorboard" in ended.stderr
