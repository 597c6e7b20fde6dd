"""The numpy arithmetic passes the golden vectors that torch and the real ComfyUI wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import guidance, rng
from comfyui_pocketvideo.mobile_runtime.engine.errors import EngineError
from comfyui_pocketvideo.mobile_runtime.engine.flow import Conditions, FlowModel, TextFeatures, sample
from comfyui_pocketvideo.mobile_runtime.engine.image import crop_and_resize
from comfyui_pocketvideo.mobile_runtime.engine.leap import LeapConfig
from comfyui_pocketvideo.mobile_runtime.engine.merging import MergeConfig
from comfyui_pocketvideo.mobile_runtime.engine.samplers import SAMPLERS
from comfyui_pocketvideo.mobile_runtime.engine.schedules import SCHEDULES, calculate_sigmas
from comfyui_pocketvideo.mobile_runtime.engine.scheduling import part, plan_sigmas
from comfyui_pocketvideo.mobile_runtime.engine.text import PromptTokenizer
from comfyui_pocketvideo.mobile_runtime.engine.tiling import Tiling, decode_tiled

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
            case["schedule"],
            case["steps"],
            case["shift"],
            case["multiplier"],
            case["denoise"],
            case["curve"],
            case["drop_penultimate"],
        )
        assert found.dtype == np.float32
        assert found.shape == (len(case["sigmas"]),), case
        np.testing.assert_allclose(found, case["sigmas"], rtol=0, atol=tolerance, err_msg=str(case))


def test_guidance() -> None:
    cases, tolerance = load("guidance")
    for case in cases:
        found = guidance.combine(array(case, "positive"), array(case, "negative"), case["scale"])
        np.testing.assert_allclose(found, array(case, "result"), rtol=tolerance, atol=tolerance)


def test_what_a_plan_says_of_sigmas() -> None:
    cases, tolerance = load("parts")
    for case in cases:
        found = plan_sigmas(case["schedule"], case["steps"])
        # One sigma is no step: ComfyUI then gives the latent back as it is.
        expected = case["sigmas"] if len(case["sigmas"]) > 1 else []
        assert found.dtype == np.float32
        assert found.shape == (len(expected),), case
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=str(case))


def sampled(case: dict[str, Any], batched: bool) -> tuple[np.ndarray, FlowModel, list[int], int | None]:
    """A case of sampling.json by the engine: latent, model, the steps that were told of, the leap's step."""
    shape, first = case["shape"], case["first_frame"]
    conditions = Conditions(
        positive=features(case["positive"]),
        negative=None if case["negative"] is None else features(case["negative"]),
        scale=case["scale"],
        first_frame=None
        if first is None
        else np.array(first, np.float32).reshape(1, shape[1], 1, *shape[3:]),
        latent=None if case["latent"] is None else array(case, "latent"),
        keep_first_frame=case["keep_first_frame"],
        batched=batched,
    )
    model = FlowModel(analytic_velocity, conditions, tuple(shape))
    whole = calculate_sigmas(case["schedule"], case["steps"], case["shift"])
    told: list[int] = []
    found, leapt = sample(
        model,
        None if case["noise"] is None else array(case, "noise"),
        part(whole, case.get("start", 0), case.get("end")),
        case["sampler"],
        lambda step, _: told.append(step),
        LeapConfig(**case["leap"]) if "leap" in case else None,
    )
    return found, model, told, leapt


@pytest.mark.parametrize("batched", [False, True])
def test_sampling(batched: bool) -> None:
    cases, tolerance = load("sampling")
    assert {case["sampler"] for case in cases} == SAMPLERS.keys()
    for case in cases:
        found, model, told, leapt = sampled(case, batched)
        where = str({key: case[key] for key in ("sampler", "steps", "scale")})
        np.testing.assert_allclose(
            found, array(case, "result"), rtol=tolerance, atol=tolerance, err_msg=where
        )
        steps = min(case["steps"], case.get("end", case["steps"])) - case.get("start", 0)
        assert leapt == case["leapt"], where
        if leapt is not None:
            assert told == [*range(leapt), steps - 1], where
            continue
        assert told == list(range(steps)), where
        # Samplers of second order look ahead once in every step that does not end at 0.
        ahead = steps - ("end" not in case) if case["sampler"] in ("heun", "dpm_2") else 0
        guided = case["negative"] is not None and case["scale"] != 1.0
        assert model.evaluations == (steps + ahead) * (2 if guided else 1), where


def test_fresh_noise_between_steps_is_what_the_host_draws() -> None:
    cases, tolerance = load("renoise")
    assert {tuple(case["shape"]) for case in cases} == {(1, 2, 3, 2, 4), (1, 3, 3, 2, 4)}
    for case in cases:
        shape, first, seed = case["shape"], case["first_frame"], int(case["seed"])
        given = None if first is None else np.array(first, np.float32).reshape(1, shape[1], 1, *shape[3:])
        model = FlowModel(
            analytic_velocity, Conditions(features(case["positive"]), None, 1.0, given), tuple(shape)
        )
        told: list[int] = []
        sigmas = np.array(case["sigmas"], np.float32)
        found, _ = sample(
            model,
            rng.normal(seed, shape),
            sigmas,
            "renoise",
            lambda step, _, told=told: told.append(step),
            renoise_seed=seed,
        )
        np.testing.assert_allclose(found, array(case, "result"), rtol=tolerance, atol=tolerance)
        assert told == list(range(len(sigmas) - 1))


def test_the_given_arrays_stay_as_they_were() -> None:
    """A later op of the plan may use the same latent again."""
    cases, _ = load("sampling")
    for case in (case for case in cases if case["latent"] is not None):
        latent = array(case, "latent")
        model = FlowModel(
            analytic_velocity,
            Conditions(features(0.4), None, 1.0, latent=latent, keep_first_frame=case["keep_first_frame"]),
            latent.shape,
        )
        sample(model, None, np.array([0.7, 0.3, 0], np.float32), case["sampler"], lambda *_: None)
        np.testing.assert_array_equal(latent, array(case, "latent"))


def test_uni_pc_says_that_one_step_is_too_few() -> None:
    with pytest.raises(EngineError, match="at least 2 steps"):
        SAMPLERS["uni_pc"](lambda x, _: x, np.zeros((1, 1, 1, 1, 1)), np.array([1, 0]), lambda *_: None)


def test_tiling() -> None:
    cases, tolerance = load("tiling")
    for case in cases:
        scale, latent = case["scale"], array(case, "latent")
        seen: list[int] = []

        def decode(piece: np.ndarray, scale: list[int] = scale, seen: list[int] = seen) -> np.ndarray:
            seen.append(piece.size)
            mixed = np.concatenate([piece, piece.mean(axis=1, keepdims=True)], axis=1) + piece.mean()
            for axis, factor in enumerate(scale):
                mixed = np.repeat(mixed, factor, axis + 2)
            return mixed[:, :, scale[0] - 1 :]

        tiles = Tiling(tuple(case["size"]), tuple(case["overlap"]), tuple(scale))
        done: list[tuple[int, int]] = []
        found = decode_tiled(latent, decode, tiles, lambda *count, done=done: done.append(count))
        expected = np.array(case["result"], np.float32).reshape(case["result_shape"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
        assert done == [(index + 1, len(seen)) for index in range(len(seen))]
        assert max(seen) <= 2 * np.prod(np.minimum(case["size"], case["shape"][2:]))


def test_resize() -> None:
    cases, tolerance = load("resize")
    for case in cases:
        pixels = np.array(case["pixels"], np.uint8).reshape(case["shape"])
        found = crop_and_resize(pixels, case["width"], case["height"])
        expected = np.array(case["result"], np.float32).reshape(case["height"], case["width"], 3)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_what_a_merging_network_is_told() -> None:
    cases, _ = load("merging")
    cases = [case for case in cases if case["kind"] == "merge"]
    assert {case["merge"]["mode"] for case in cases} == {"pairs", "similar"}
    for case in cases:
        config = MergeConfig.of({"component": "twin", **case["merge"]})
        found = config.arrays(case["grid"], case["first_frame_given"])
        expected = case["inputs"]
        where = str({key: case[key] for key in ("merge", "grid", "first_frame_given")})
        assert (found is None) == (expected is None), where
        if found is None:
            continue
        assert found.keys() == expected.keys(), where
        for name, values in expected.items():
            assert found[name].dtype == (np.float32 if name == "merge_sizes" else np.int64)
            np.testing.assert_array_equal(found[name].ravel(), values, err_msg=f"{where} {name}")
            assert found[name].shape == (tuple(case["grid"]) if name == "merge_back" else (len(values),))


def test_when_a_network_merges() -> None:
    cases, _ = load("merging")
    windows = [case for case in cases if case["kind"] == "window"]
    assert windows
    for case in windows:
        config = MergeConfig.of({"component": "twin", **case["merge"]})
        for sigma, merges in case["sigmas"]:
            assert config.inside(sigma) == merges, (case["merge"], sigma)


def test_prompts() -> None:
    cases, _ = load("tokenizers")
    assert {case["kind"] for case in cases} == {"bpe", "t5", "umt5"}
    for case in cases:
        limit, pad = case["max_tokens"], case["pad_id"]
        tokenizer = PromptTokenizer(json.dumps(case["tokenizer"]).encode(), limit, pad)
        for text in case["texts"]:
            ids, mask = tokenizer.encode(text["text"])
            count = len(text["ids"])
            padded = [*text["ids"], *[pad] * (limit - count)]
            assert ids[0].tolist() == padded, (case["kind"], text["text"])
            assert mask[0].tolist() == [1] * count + [0] * (limit - count)


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
