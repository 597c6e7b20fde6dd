"""Our MODEL from inside ComfyUI: partly loaded, patched, wrapped, in half precision."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.pocketvideo.models import DEFAULTS, save_model

from host.pocket import random_model
from host.server import SHIM, locate

SCRIPT = Path(__file__).with_name("whitebox.py")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    paths = locate()
    model = tmp_path_factory.mktemp("whitebox") / "random.safetensors"
    save_model(model, random_model())
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(paths.python), str(SHIM), str(SCRIPT), str(paths.comfyui), str(model)],
        capture_output=True,
        text=True,
        env=environ,
        cwd=paths.comfyui,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    looked: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return looked


def test_the_text_has_features_and_a_mask(seen: dict[str, Any]) -> None:
    assert seen["features"] == [1, 32, 96]
    assert 0 < seen["attention_mask"] < 32


def test_a_model_larger_than_the_memory_computes_the_same(seen: dict[str, Any]) -> None:
    assert seen["partial"]
    assert seen["pieces_equal"]
    assert seen["patched_differs"]
    assert seen["patched_pieces_difference"] < 1e-5
    assert seen["after_equal"]
    assert seen["memory"] > 0


def test_wrappers_and_block_patches_are_called(seen: dict[str, Any]) -> None:
    assert seen["calls"]["wrapper"] >= 1
    assert seen["calls"]["block"] >= 1
    assert seen["hooked_equal"]
    assert seen["skipped_differs"]


def test_a_given_frame_has_time_zero(seen: dict[str, Any]) -> None:
    assert seen["times"] == [pytest.approx([0.0, 0.7, 0.7])]


def test_the_network_sees_sigma_itself_as_time(seen: dict[str, Any]) -> None:
    assert seen["time_of_half"] == 0.5
    assert seen["shift"] == DEFAULTS["shift"]


def test_the_network_is_told_sigma_whatever_node_changed_the_shift(seen: dict[str, Any]) -> None:
    """ModelSamplingSD3 multiplies the time by 1000, which the network would take for noise beyond noise."""
    assert len(seen["told"]) == 3
    assert seen["told"] == [pytest.approx(seen["told"][0], abs=1e-6)] * 3


def test_half_precision_is_close(seen: dict[str, Any]) -> None:
    assert seen["half_dtype"] == "torch.bfloat16"
    assert seen["half_error"] < 0.05
