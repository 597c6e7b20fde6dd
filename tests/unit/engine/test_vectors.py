"""The numpy arithmetic passes the golden vectors that torch and the real ComfyUI wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import guidance, rng
from comfyui_pocketvideo.mobile_runtime.engine.flow import Conditions, FlowModel, TextFeatures, sample
from comfyui_pocketvideo.mobile_runtime.engine.image import crop_and_resize
from comfyui_pocketvideo.mobile_runtime.engine.schedules import SCHEDULES, calculate_sigmas

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def load(name: str) -> tuple[list[dict[str, Any]], float]:
    data = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    assert data["cases"]
    return data["cases"], data["tolerance"]


def array(case: dict[str, Any], key: str) -> np.ndarray:
    return np.array(case[key], np.float32).reshape(case["shape"])


def test_noise() -> None:
    cases, tolerance = load("noise")
    for case in cases:
        found = rng.normal(int(case["seed"]), [case["size"]])
        np.testing.assert_allclose(found[:20], case["first"], rtol=0, atol=tolerance)
        np.testing.assert_allclose(found[-20:], case["last"], rtol=0, atol=tolerance)
        assert found.sum(dtype=np.float64) == pytest.approx(case["sum"], abs=tolerance * case["size"])


def test_schedules() -> None:
    cases, tolerance = load("schedules")
    assert {case["schedule"] for case in cases} == SCHEDULES.keys()
    for case in cases:
        found = calculate_sigmas(
            case["schedule"], case["steps"], case["shift"], case["multiplier"], case["denoise"]
        )
        assert found.dtype == np.float32
        assert found.shape == (len(case["sigmas"]),), case
        np.testing.assert_allclose(found, case["sigmas"], rtol=0, atol=tolerance, err_msg=str(case))


def test_guidance() -> None:
    cases, tolerance = load("guidance")
    for case in cases:
        found = guidance.combine(array(case, "positive"), array(case, "negative"), case["scale"])
        np.testing.assert_allclose(found, array(case, "result"), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batched", [False, True])
def test_sampling(batched: bool) -> None:
    cases, tolerance = load("sampling")
    for case in cases:
        first = case["first_frame"]
        shape = case["shape"]
        conditions = Conditions(
            positive=features(case["positive"]),
            negative=None if case["negative"] is None else features(case["negative"]),
            scale=case["scale"],
            first_frame=None
            if first is None
            else np.array(first, np.float32).reshape(1, shape[1], 1, *shape[3:]),
            batched=batched,
        )
        model = FlowModel(analytic_velocity, conditions, tuple(shape))
        sigmas = calculate_sigmas(case["schedule"], case["steps"], case["shift"])
        seen: list[int] = []
        found, _ = sample(
            model, array(case, "noise"), sigmas, case["sampler"], lambda step, _, seen=seen: seen.append(step)
        )
        np.testing.assert_allclose(found, array(case, "result"), rtol=tolerance, atol=tolerance)
        assert seen == list(range(len(sigmas) - 1))
        guided = case["negative"] is not None and case["scale"] != 1.0
        assert model.evaluations == (len(sigmas) - 1) * (2 if guided else 1)


def test_resize() -> None:
    cases, tolerance = load("resize")
    for case in cases:
        pixels = np.array(case["pixels"], np.uint8).reshape(case["shape"])
        found = crop_and_resize(pixels, case["width"], case["height"])
        expected = np.array(case["result"], np.float32).reshape(case["height"], case["width"], 3)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def features(value: float) -> TextFeatures:
    return TextFeatures(np.full((1, 1, 1), value, np.float32), np.ones((1, 1), np.float32))


def analytic_velocity(
    latent: np.ndarray, timestep: np.ndarray, texts: Sequence[TextFeatures]
) -> list[np.ndarray]:
    """The field that the vectors' file describes, for each text."""
    time = timestep[:, None, :, None, None]
    return [
        np.float32(0.5) * latent
        + text.context[:, :, :, None, None] * np.cos(3 * time)
        - np.float32(0.25) * time
        for text in texts
    ]
