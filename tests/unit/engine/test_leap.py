"""When the controller leaps, and that deciding it needs nothing but the standard library."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.engine.leap import LeapConfig, LeapController
from hypothesis import given
from hypothesis import strategies as st

CURVES = st.lists(st.floats(-1.0, 1.0), max_size=60)
CONFIGS = st.builds(
    LeapConfig,
    minimum=st.floats(0, 1),
    tolerance=st.floats(0, 0.1),
    patience=st.integers(1, 6),
)


def decide(config: LeapConfig, total: int, curve: list[float]) -> int | None:
    """The step of the leap for the similarities of steps 1, 2, ...; None where there is none."""
    controller = LeapController(config, total)
    for step in range(total):
        similarity = None if step == 0 else curve[min(step, len(curve)) - 1] if curve else None
        if controller.observe(step, similarity):
            return step
    return None


@pytest.mark.parametrize(
    ("config", "total", "curve", "expected"),
    [
        # Flat from the first measurement: patience ends at step 4, and the leap waits for the minimum.
        (LeapConfig(), 30, [0.9], 15),
        (LeapConfig(minimum=0), 30, [0.9], 4),
        (LeapConfig(minimum=0, patience=1), 30, [0.9], 2),
        # Still straightening by more than the tolerance at every step: never.
        (LeapConfig(), 30, [0.5 + 0.01 * i for i in range(30)], None),
        # The same by less than the tolerance.
        (LeapConfig(tolerance=0.02), 30, [0.5 + 0.01 * i for i in range(12)] + [0.61] * 20, 15),
        # An improvement at 15 gives patience back, and three steps without one end it at 18.
        (LeapConfig(), 30, [0.9] * 14 + [0.95] * 16, 18),
        # A slow rise counts from the best, not from the step before: 0.0004 x 3 is more than 0.001.
        (LeapConfig(patience=3), 30, [0.9 + 0.0004 * i for i in range(30)], None),
        (LeapConfig(patience=2), 30, [0.9 + 0.0004 * i for i in range(30)], 15),
        # ceil(0.55 x 20) is 11, whatever floating point says.
        (LeapConfig(minimum=0.55), 20, [0.9], 11),
        (LeapConfig(minimum=1.0), 20, [0.9], None),
        # The last step saves nothing.
        (LeapConfig(minimum=0.95), 20, [0.9], None),
        (LeapConfig(minimum=0, patience=3), 5, [0.9], None),
        (LeapConfig(minimum=0, patience=3), 6, [0.9], 4),
        (LeapConfig("fixed", step=15), 30, [0.1], 15),
        (LeapConfig("fixed", step=0), 30, [], 0),
        (LeapConfig("fixed", step=28), 30, [], 28),
        (LeapConfig("fixed", step=29), 30, [], None),
        (LeapConfig("fixed", step=40), 30, [], None),
        (LeapConfig("fixed", step=0), 1, [], None),
    ],
)
def test_it_leaps_when_the_path_is_straight(
    config: LeapConfig, total: int, curve: list[float], expected: int | None
) -> None:
    assert decide(config, total, curve) == expected


@given(CONFIGS, st.integers(1, 60), CURVES)
def test_a_leap_is_never_early_and_never_last(config: LeapConfig, total: int, curve: list[float]) -> None:
    step = decide(config, total, curve)
    if step is not None:
        assert step >= config.minimum * total - 1e-6
        # The first measurement is at step 1, and each of `patience` without an improvement takes one more.
        assert 1 + config.patience <= step < total - 1


@given(CONFIGS, st.integers(1, 60), st.floats(-1, 1))
def test_more_patience_and_a_higher_minimum_never_leap_earlier(
    config: LeapConfig, total: int, value: float
) -> None:
    def step(**change: Any) -> float:
        settings = {**config.as_dict(), **change}
        found = decide(LeapConfig(**settings), total, [value])
        return math.inf if found is None else found

    assert step(patience=config.patience + 1) >= step()
    assert step(minimum=min(1.0, config.minimum + 0.1)) >= step()


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_never_leaps(broken: float) -> None:
    assert decide(LeapConfig(minimum=0), 30, [broken]) is None
    assert decide(LeapConfig("fixed", step=9), 30, [broken]) is None
    # And it is no measurement: patience neither falls nor comes back.
    controller = LeapController(LeapConfig(minimum=0, patience=2), 30)
    told = [controller.observe(step, value) for step, value in enumerate([None, 0.5, 0.5, broken, 0.5])]
    assert told == [False, False, False, False, True]


def test_two_controllers_share_nothing() -> None:
    config = LeapConfig(minimum=0, patience=1)
    assert decide(config, 10, [0.5]) == 2
    assert decide(config, 10, [0.5]) == 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mode": "sometimes"}, "Leap's mode is 'sometimes': set it to adaptive or fixed."),
        ({"minimum": 1.5}, "Leap's minimum is 1.5: set it to a number from 0 to 1."),
        ({"minimum": math.nan}, "Leap's minimum is nan: set it to a number from 0 to 1."),
        ({"tolerance": -0.1}, "Leap's tolerance is -0.1: set it to a number from 0 to 2."),
        ({"patience": 0}, "Leap's patience is 0: set it to a whole number from 1 to 10000."),
        ({"patience": 2.0}, "Leap's patience is 2.0: set it to a whole number from 1 to 10000."),
        ({"patience": True}, "Leap's patience is True: set it to a whole number from 1 to 10000."),
        ({"mode": "fixed", "step": -1}, "Leap's step is -1: set it to a whole number from 0 to 10000."),
    ],
)
def test_settings_out_of_bounds_are_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        LeapConfig(**settings)
    assert str(refused.value) == sentence


def test_settings_are_written_as_they_are_read() -> None:
    for config in (LeapConfig(minimum=0.25, patience=5), LeapConfig("fixed", step=9)):
        assert LeapConfig(**config.as_dict()) == config
    assert "step" not in LeapConfig().as_dict()


ALONE = """
import sys
from comfyui_pocketvideo.mobile_runtime import engine
from comfyui_pocketvideo.mobile_runtime.engine.leap import LeapController
tops = {name.split(".")[0] for name in sys.modules}
print(sorted(tops & {"numpy", "onnxruntime", "av", "tokenizers", "torch", "comfy"}))
import comfyui_pocketvideo.pocketvideo.acceleration.leaping
tops = {name.split(".")[0] for name in sys.modules}
print(sorted(tops & {"onnxruntime", "av", "tokenizers", "comfy", "onnx", "diffusers"}))
from comfyui_pocketvideo.mobile_runtime.engine import ComponentReport, self_test, run_bundle
print(callable(self_test), callable(run_bundle), set(engine.__all__) <= set(dir(engine)))
"""


def test_deciding_needs_the_standard_library_alone() -> None:
    """ComfyUI's Python need not have what a device needs."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "[]", "True True True"]


def test_the_engines_public_names_are_there() -> None:
    from comfyui_pocketvideo.mobile_runtime import engine

    for name in engine.__all__:
        assert getattr(engine, name).__module__.startswith(engine.__name__), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = engine.nothing  # type: ignore[attr-defined]


def test_the_golden_decisions() -> None:
    path = Path(__file__).resolve().parents[2] / "vectors" / "leap.json"
    cases = [case for case in json.loads(path.read_text("utf-8"))["cases"] if case["kind"] == "decision"]
    assert len(cases) > 50 and len({case["leap"] for case in cases}) > 8
    for case in cases:
        controller = LeapController(LeapConfig(**case["config"]), case["steps"])
        curve = [None, *(math.nan if value is None else value for value in case["curve"])]
        found = next((step for step, value in enumerate(curve) if controller.observe(step, value)), None)
        assert found == case["leap"], case
