"""What a manifest may name is what the engine can do, and the corners of sampling hold."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import generate
from comfyui_pocketvideo.mobile_runtime.engine import EngineError
from comfyui_pocketvideo.mobile_runtime.engine.beta import cumulative, quantile
from comfyui_pocketvideo.mobile_runtime.engine.flow import Conditions, FlowModel, TextFeatures, sample
from comfyui_pocketvideo.mobile_runtime.engine.preview import MAX_SIDE, preview
from comfyui_pocketvideo.mobile_runtime.engine.renoising import NAME as RENOISE
from comfyui_pocketvideo.mobile_runtime.engine.run import _OPS
from comfyui_pocketvideo.mobile_runtime.engine.samplers import SAMPLERS
from comfyui_pocketvideo.mobile_runtime.engine.schedules import SCHEDULES, TABLE_SIZE, calculate_sigmas, ltxv
from comfyui_pocketvideo.mobile_runtime.engine.video import to_frames

DEFINITIONS = json.loads(generate.SCHEMA.read_text("utf-8"))["$defs"]
TEXT = TextFeatures(np.zeros((1, 1, 1), np.float32), np.ones((1, 1), np.float32))


def test_every_name_of_the_schema_is_implemented() -> None:
    assert set(DEFINITIONS["Op"]["properties"]["op"]["enum"]) == _OPS.keys()
    assert set(DEFINITIONS["Denoise"]["properties"]["sampler"]["enum"]) == {*SAMPLERS, RENOISE}
    assert set(DEFINITIONS["NamedSchedule"]["properties"]["name"]["enum"]) == SCHEDULES.keys()
    assert set(DEFINITIONS["Schedule"]["properties"]["name"]["enum"]) == {*SCHEDULES, "ltxv", "manual"}
    assert set(DEFINITIONS["NamedSchedule"]["properties"]["curve"]["enum"]) == TABLE_SIZE.keys()


@pytest.mark.parametrize(
    ("name", "steps", "denoise", "sentence"),
    [
        ("cosine", 4, 1.0, "schedule 'cosine' is not known; use one of simple"),
        ("simple", 0, 1.0, "0 steps"),
        ("kl_optimal", 1, 1.0, "at least 2 steps"),
        ("simple", 1000, 0.001, "needs a schedule of 1000000 steps"),
    ],
)
def test_impossible_schedules_are_refused(name: str, steps: int, denoise: float, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        calculate_sigmas(name, steps, 3.0, denoise=denoise)


def test_ltxv_cannot_stretch_one_step() -> None:
    with pytest.raises(EngineError, match="at least 2 steps"):
        ltxv(1, 4096, 2.05, 0.95, True, 0.1)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_sigmas_fall_to_zero(name: str) -> None:
    for steps in (2, 9, 250):
        sigmas = calculate_sigmas(name, steps, 3.0)
        assert (np.diff(sigmas) < 0).all() and sigmas[-1] == 0 and sigmas[0] <= 1


def test_denoise_zero_gives_the_first_frame_and_zeros_without_an_evaluation() -> None:
    first = np.full((1, 2, 1, 1, 1), 3, np.float32)
    model = FlowModel(refuse, Conditions(TEXT, None, 1.0, first), (1, 2, 3, 1, 1))
    found, _ = sample(model, np.ones((1, 2, 3, 1, 1), np.float32), np.empty(0, np.float32), "euler", refuse)
    assert (found[:, :, 0] == 3).all() and (found[:, :, 1:] == 0).all()
    assert model.evaluations == 0


def test_a_perfect_velocity_is_followed_to_its_end() -> None:
    """On a straight path any number of Euler steps reaches x0 exactly."""
    draw = np.random.default_rng(0)
    noise, target = draw.standard_normal((2, 1, 2, 3, 4, 5)).astype(np.float32)
    for steps in (1, 3, 20):
        model = FlowModel(lambda *_: [noise - target], Conditions(TEXT, None, 1.0), noise.shape)
        found, _ = sample(model, noise, calculate_sigmas("simple", steps, 3.0), "euler", lambda *_: None)
        np.testing.assert_allclose(found, target, atol=1e-5)


def test_the_beta_quantile_inverts_its_distribution() -> None:
    p = np.linspace(0.001, 0.999, 77)
    for a, b in ((0.6, 0.6), (2.0, 5.0), (1.0, 1.0), (0.5, 3.0)):
        np.testing.assert_allclose(cumulative(quantile(p, a, b), a, b), p, atol=1e-12)
    np.testing.assert_allclose(quantile(p, 1.0, 1.0), p, atol=1e-12)
    # The arcsine distribution has a closed form.
    np.testing.assert_allclose(quantile(p, 0.5, 0.5), np.sin(p * math.pi / 2) ** 2, atol=1e-12)
    assert quantile(np.array([0.0, 0.5, 1.0]), 0.6, 0.6).tolist() == [0.0, 0.5, 1.0]


def test_frames_are_rounded_clipped_and_checked() -> None:
    video = np.zeros((1, 3, 2, 1, 1), np.float32)
    video[0, :, 0, 0, 0] = (-3.0, 0.0, 3.0)
    assert to_frames(video)[0, 0, 0].tolist() == [0, 128, 255]
    video[0, 0, 0, 0, 0] = np.nan
    with pytest.raises(EngineError, match="not numbers"):
        to_frames(video)
    with pytest.raises(EngineError, match=r"shape \(1, 4, 2, 1, 1\)"):
        to_frames(np.zeros((1, 4, 2, 1, 1), np.float32))


def test_a_preview_is_small_and_only_made_with_a_fitting_map() -> None:
    latent = np.zeros((1, 2, 3, 300, 200), np.float32)
    component: dict = {"latent_rgb": {"factors": [[1, 0, 0], [0, 1, 0]], "bias": [0, 1, -1]}}
    found = preview(component, latent)  # type: ignore[arg-type]
    assert found is not None and max(found.shape[:2]) <= MAX_SIDE
    assert found[0, 0].tolist() == [127, 255, 0]
    assert preview({}, latent) is None  # type: ignore[typeddict-item]
    assert preview(component, latent[:, :1]) is None  # type: ignore[arg-type]


def refuse(*_: object) -> list[np.ndarray]:
    raise AssertionError("nothing must be evaluated")
