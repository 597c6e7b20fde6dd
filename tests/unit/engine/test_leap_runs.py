"""The leap in numpy: golden vectors, and a whole bundle that leaps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, ManifestError, write_bundle
from comfyui_pocketvideo.mobile_runtime.engine import ProgressEvent, run_bundle
from comfyui_pocketvideo.mobile_runtime.engine.flow import Conditions, FlowModel, TextFeatures, sample
from comfyui_pocketvideo.mobile_runtime.engine.leap import LeapConfig
from comfyui_pocketvideo.mobile_runtime.engine.leaping import cosine_similarity, sample_with_leap
from comfyui_pocketvideo.mobile_runtime.engine.samplers import sample_euler
from comfyui_pocketvideo.mobile_runtime.engine.schedules import calculate_sigmas

from unit.engine import small

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "leap.json").read_text("utf-8"))


def cases(kind: str) -> list[dict[str, Any]]:
    found = [case for case in VECTORS["cases"] if case["kind"] == kind]
    assert found
    return found


def array(case: dict[str, Any], key: str) -> np.ndarray:
    return np.array(case[key], np.float32).reshape(case["shape"])


def test_the_golden_similarities() -> None:
    for case in cases("similarity"):
        found = cosine_similarity(array(case, "first"), array(case, "second"))
        assert found == pytest.approx(case["similarity"], abs=1e-9)


def test_the_golden_runs() -> None:
    text = TextFeatures(np.full((1, 1, 1), 0.4, np.float32), np.ones((1, 1), np.float32))

    def field(x: np.ndarray, timestep: np.ndarray, texts: Sequence[TextFeatures]) -> list[np.ndarray]:
        time = timestep[:, None, :, None, None]
        velocity = np.float32(0.5) * x + np.float32(0.4) * np.cos(3 * time) - np.float32(0.25) * time
        return [velocity for _ in texts]

    for case in cases("run"):
        steps = case["steps"]
        model = FlowModel(field, Conditions(text, None, 1.0), tuple(case["shape"]))
        told: list[int] = []
        found, leap = sample(
            model,
            array(case, "noise"),
            calculate_sigmas("simple", steps, 3.0),
            "euler",
            lambda step, _, told=told: told.append(step),
            LeapConfig(**case["config"]),
        )
        assert leap == case["leap"]
        np.testing.assert_allclose(found, array(case, "result"), rtol=0, atol=VECTORS["tolerance"])
        assert model.evaluations == (steps if leap is None else leap + 1)
        assert told == (list(range(steps)) if leap is None else [*range(leap), steps - 1])


def test_a_schedule_that_ends_early_is_leapt_to_its_end() -> None:
    def model(x: np.ndarray, sigma: np.float32) -> np.ndarray:
        return np.tanh(x).astype(np.float32)

    sigmas = np.array([1.0, 0.9, 0.8, 0.7, 0.6], np.float32)
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4, 5)).astype(np.float32)
    found, step = sample_with_leap(
        sample_euler, LeapConfig("fixed", step=1), model, x, sigmas, lambda *_: None
    )
    at = x + (x - np.tanh(x)) * np.float32(-0.1)
    expected = at + (at - np.tanh(at)) / np.float32(0.9) * np.float32(0.6 - 0.9)
    assert step == 1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def leaping_bundle(folder: Path, leap: dict[str, Any], steps: int = 9) -> Bundle:
    """The small bundle with a leap in its plan."""
    small.build(folder)
    manifest = small.manifest()
    (op,) = [op for op in manifest["plan"] if op["op"] == "denoise"]
    op["leap"] = leap
    manifest["inputs"]["steps"]["default"] = steps
    return write_bundle(folder, manifest)


def test_a_bundle_leaps_and_says_where(tmp_path: Path) -> None:
    bundle = leaping_bundle(tmp_path / "bundle", {"mode": "fixed", "step": 5})
    events: list[ProgressEvent] = []
    result = run_bundle(bundle, {}, threads=1, progress=events.append, output_dir=tmp_path / "out")
    assert result.leap_steps == {"sample": 5}
    # Two prompts an evaluation.
    assert result.evaluations == 12
    sampling = [event.step for event in events if event.op == "sample"]
    assert sampling == [0, 1, 2, 3, 4, 5, 9]
    assert events[[event.op for event in events].index("sample")].total == 9

    plain = run_bundle(
        small.build(tmp_path / "plain"), {"steps": 9}, threads=1, output_dir=tmp_path / "plain-out"
    )
    assert plain.leap_steps == {} and plain.evaluations == 18
    assert not np.array_equal(plain.frames, result.frames)
    # Few enough steps, and there is nothing to leap over: the same video to the last bit.
    short = run_bundle(bundle, {"steps": 6}, threads=1, output_dir=tmp_path / "short")
    assert short.leap_steps == {"sample": None} and short.evaluations == 12
    same = run_bundle(
        Bundle.open(tmp_path / "plain"), {"steps": 6}, threads=1, output_dir=tmp_path / "plain-out"
    )
    assert np.array_equal(short.frames, same.frames)


def test_an_adaptive_leap_starts_anew_with_every_run(tmp_path: Path) -> None:
    settings = {"mode": "adaptive", "minimum": 0.2, "tolerance": 0.01, "patience": 2}
    bundle = leaping_bundle(tmp_path / "bundle", settings, 30)
    first, other, again = (
        run_bundle(bundle, {"seed": seed}, threads=1, output_dir=tmp_path / "out") for seed in (1, 2, 1)
    )
    assert first.leap_steps["sample"] is not None
    assert again.leap_steps == first.leap_steps and np.array_equal(first.frames, again.frames)
    assert not np.array_equal(first.frames, other.frames)


@pytest.mark.parametrize(
    "leap",
    [
        {"mode": "sometimes"},
        {"mode": "fixed"},
        {"mode": "fixed", "step": -1},
        {"mode": "fixed", "step": 1.5},
        {"mode": "fixed", "step": 3, "patience": 2},
        {"mode": "adaptive", "minimum": 0.5, "tolerance": 0.001},
        {"mode": "adaptive", "minimum": 1.5, "tolerance": 0.001, "patience": 3},
        {"mode": "adaptive", "minimum": 0.5, "tolerance": 0.001, "patience": 0},
        None,
        True,
    ],
)
def test_a_leap_that_the_format_does_not_know_is_refused(tmp_path: Path, leap: Any) -> None:
    with pytest.raises(ManifestError, match="leap"):
        leaping_bundle(tmp_path / "bundle", leap)


def test_every_leap_that_the_format_allows_is_one_for_the_controller() -> None:
    for minimum, tolerance, patience in ((0, 0, 1), (1, 2, 10_000), (0.5, 0.001, 3)):
        LeapConfig("adaptive", minimum=minimum, tolerance=tolerance, patience=patience)
    for step in (0, 10_000):
        LeapConfig("fixed", step=step)
