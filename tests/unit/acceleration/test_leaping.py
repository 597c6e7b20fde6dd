"""The leap in torch: where it lands, what it leaves alone, and what its record says."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.acceleration.leap_record import LeapRecord
from comfyui_pocketvideo.pocketvideo.acceleration.leaping import LeapConfig, cosine_similarity, leap_sample
from torch import Tensor

SIGMAS = torch.linspace(1, 0, 11)


class Model:
    """x0 that depends on x, so that a path bends; `host` stands for what samplers read through a model."""

    host = "the host's model"

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, x: Tensor, sigma: Tensor, *, gain: float = 1.0) -> Tensor:
        level = sigma.reshape(-1, *[1] * (x.ndim - 1))
        denoised = gain * (torch.tanh(x) * (1 - 0.3 * level) + 0.1)
        self.seen.append((x, sigma, denoised))
        return denoised


def euler(model: Any, x: Tensor, sigmas: Tensor, *, extra_args: Any, callback: Any, disable: Any) -> Tensor:
    """k-diffusion's Euler."""
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]), **(extra_args or {}))
        callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x


def noise(items: int = 1) -> Tensor:
    return torch.randn((items, 2, 3, 4, 4), generator=torch.Generator().manual_seed(2))


def run(
    config: LeapConfig, *, sampler: Any = euler, sigmas: Tensor = SIGMAS, x: Tensor | None = None, **more: Any
) -> tuple[Tensor, LeapRecord, Model]:
    record, model = LeapRecord(config), Model()
    x = noise() if x is None else x
    result = leap_sample(model, x, sigmas, sampler=sampler, config=config, record=record, **more)
    return result, record, model


def test_a_leap_lands_on_the_denoised_prediction() -> None:
    result, record, model = run(LeapConfig("fixed", step=6))
    x, sigma, denoised = model.seen[-1]
    assert torch.equal(result, denoised)
    # The closed form: the rest of the way along the drift.
    assert torch.allclose(result, x + (x - denoised) / sigma * (0 - sigma), atol=1e-6)
    assert len(model.seen) == record.evaluations == 7
    assert record.evaluations_saved == 3
    assert record.leap_steps == [6] and record.leap_sigmas == [pytest.approx(0.4)]
    assert record.finished and record.left_early


def test_without_a_leap_nothing_changes() -> None:
    result, record, _ = run(LeapConfig("fixed", step=9))
    plain = euler(Model(), noise(), SIGMAS, extra_args={}, callback=lambda info: None, disable=None)
    assert torch.equal(result, plain)
    assert record.evaluations == 10 and record.evaluations_saved == 0
    assert record.leap_steps == [None]
    assert len(record.similarities[0]) == 9


def test_the_curve_is_the_cosine_of_consecutive_drifts() -> None:
    _, record, model = run(LeapConfig("fixed", step=5))
    drifts = [((x - denoised) / sigma).double().flatten() for x, sigma, denoised in model.seen]
    wanted = [
        float(torch.nn.functional.cosine_similarity(now, before, dim=0))
        for before, now in itertools.pairwise(drifts)
    ]
    assert record.measured == [1, 2, 3, 4, 5]
    assert record.similarities[0] == pytest.approx(wanted, abs=1e-12)


def test_the_cosine_looks_at_every_value_of_each_video() -> None:
    a, b = torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)
    a[0, 0, 0], b[0, 1, 1] = 1, 1
    a[1], b[1] = 1e-20, 3e20
    assert cosine_similarity(a, b) == pytest.approx([0.0, 1.0, 1.0])
    assert math.isnan(cosine_similarity(torch.full((1, 2), math.nan), torch.ones(1, 2))[0])


def test_a_split_schedule_ends_at_its_own_level() -> None:
    first = SIGMAS[:8]
    result, _, model = run(LeapConfig("fixed", step=3), sigmas=first)
    x, sigma, denoised = model.seen[-1]
    assert torch.allclose(result, x + (x - denoised) / sigma * (first[-1] - sigma), atol=1e-6)
    assert not torch.allclose(result, denoised, atol=1e-2)


def test_the_callback_is_told_every_step_once_and_then_the_last() -> None:
    told: list[dict[str, Any]] = []
    result, _, model = run(LeapConfig("fixed", step=4), callback=told.append)
    assert [info["i"] for info in told] == [0, 1, 2, 3, 9]
    assert torch.equal(told[-1]["denoised"], result)
    assert [info["x"] is seen[0] for info, seen in zip(told, model.seen, strict=True)] == [True] * 5


def test_options_and_arguments_reach_the_inner_sampler_and_the_model() -> None:
    def inner(model: Any, x: Tensor, sigmas: Tensor, *, extra: int, **rest: Any) -> Tensor:
        assert extra == 3 and model.host == "the host's model"
        return euler(model, x, sigmas, **rest)

    one, _, _ = run(LeapConfig("fixed", step=4), sampler=inner, extra=3, extra_args={"gain": 0.5})
    two, _, _ = run(LeapConfig("fixed", step=4), sampler=inner, extra=3, extra_args={"gain": 1.0})
    assert not torch.allclose(one, two)


def test_an_evaluation_inside_a_step_is_not_measured() -> None:
    """Heun evaluates at the next sigma before it gets there."""

    def heun(
        model: Any, x: Tensor, sigmas: Tensor, *, extra_args: Any, callback: Any, disable: Any
    ) -> Tensor:
        for i in range(len(sigmas) - 1):
            ones = x.new_ones([x.shape[0]])
            denoised = model(x, sigmas[i] * ones)
            callback({"x": x, "i": i, "denoised": denoised})
            d, dt = (x - denoised) / sigmas[i], sigmas[i + 1] - sigmas[i]
            if sigmas[i + 1] == 0:
                return x + d * dt
            ahead = x + d * dt
            d = (d + (ahead - model(ahead, sigmas[i + 1] * ones)) / sigmas[i + 1]) / 2
            x = x + d * dt
        return x

    result, record, model = run(LeapConfig("fixed", step=6), sampler=heun)
    assert torch.equal(result, model.seen[12][2]) and len(model.seen) == 13
    # 19 is what Heun makes of 10 steps.
    assert (record.evaluations, record.evaluations_saved) == (13, 6)


def test_a_sampler_that_swallows_exceptions_still_gives_the_leap() -> None:
    def stubborn(model: Any, x: Tensor, sigmas: Tensor, **rest: Any) -> Tensor:
        try:
            return euler(model, x, sigmas, **rest)
        except BaseException:
            return x * 0

    result, _, model = run(LeapConfig("fixed", step=4), sampler=stubborn)
    assert torch.equal(result, model.seen[4][2])


def test_errors_and_interrupts_pass_through() -> None:
    class Stop(BaseException):
        pass

    def stop(info: dict[str, Any]) -> None:
        if info["i"] == 2:
            raise Stop

    record = LeapRecord(LeapConfig())
    with pytest.raises(Stop):
        leap_sample(
            Model(), noise(), SIGMAS, callback=stop, sampler=euler, config=LeapConfig(), record=record
        )
    assert not record.finished
    assert record.sentence() == "The run was stopped after 3 evaluations."


def test_a_sampler_that_changes_the_size_goes_on_alone() -> None:
    def growing(model: Any, x: Tensor, sigmas: Tensor, *, callback: Any, **_: Any) -> Tensor:
        for i in range(len(sigmas) - 1):
            denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]))
            callback({"x": x, "i": i, "denoised": denoised})
            x = denoised.repeat_interleave(2, dim=-1) if i == 3 else denoised
        return x

    result, record, _ = run(LeapConfig("fixed", step=6), sampler=growing)
    assert result.shape == (1, 2, 3, 4, 8)
    assert record.leap_steps == [None]
    assert record.sentence() == (
        "Did not leap because the sampler changed the size of the latent on its way."
    )


def test_a_sampler_of_many_schedules_goes_on_alone() -> None:
    def twice(model: Any, x: Tensor, sigmas: Tensor, **rest: Any) -> Tensor:
        x = euler(model, x, sigmas[:4], **rest)
        return euler(model, x + 1, sigmas, **rest)

    _, record, model = run(LeapConfig("fixed", step=6), sampler=twice)
    assert len(model.seen) == 13
    assert record.sentence() == "Did not leap because the sampler went back to an earlier step."


def test_the_end_that_a_sampler_writes_into_the_schedule_is_taken_back() -> None:
    """ComfyUI's uni_pc sets the caller's last sigma to 0.001."""

    def writing(model: Any, x: Tensor, sigmas: Tensor, **rest: Any) -> Tensor:
        sigmas[-1] = 0.001
        return euler(model, x, sigmas, **rest)

    sigmas = SIGMAS.clone()
    result, _, model = run(LeapConfig("fixed", step=4), sampler=writing, sigmas=sigmas)
    assert torch.equal(result, model.seen[-1][2])
    assert torch.equal(sigmas, SIGMAS)


@pytest.mark.parametrize(
    ("config", "sigmas", "words"),
    [
        (LeapConfig("fixed", step=9), SIGMAS, "step 9 is not before the last of 10 steps"),
        (LeapConfig(), SIGMAS[-2:], "the schedule has fewer than 2 steps"),
        (LeapConfig(), SIGMAS[-4:], "3 steps are too few"),
        (LeapConfig(minimum=1.0), SIGMAS, "no step was left"),
    ],
)
def test_it_says_why_it_did_not_leap(config: LeapConfig, sigmas: Tensor, words: str) -> None:
    _, record, _ = run(config, sigmas=sigmas)
    assert record.sentence().startswith("Did not leap because ") and words in record.sentence()


def test_nothing_to_sample_is_no_error() -> None:
    result, record, _ = run(LeapConfig(), sigmas=SIGMAS[:1])
    assert torch.equal(result, noise())
    assert "fewer than 2 steps" in record.sentence()


def test_numbers_that_are_not_finite_are_said_and_written_as_null() -> None:
    result, record, _ = run(LeapConfig(), x=noise() * math.nan)
    assert result.isnan().all()
    assert record.sentence() == "Did not leap because the model's predictions are not finite numbers."
    written = json.loads(json.dumps(record.as_dict(), allow_nan=False))
    assert written["similarities"] == [[None] * 9]
    assert written["summary"] == record.sentence()


def test_the_sentence_names_step_sigma_and_what_was_saved() -> None:
    _, record, _ = run(LeapConfig("fixed", step=6))
    assert record.sentence() == "Leapt at step 6 of 10 (sigma 0.40): 3 of 10 evaluations saved."
    record.paths = "v-prediction"
    assert record.sentence() == (
        "Leapt at step 6 of 10 (sigma 0.40): 3 of 10 evaluations saved;"
        " approximate: this model's paths are not straight (v-prediction)."
    )


VECTORS = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "leap.json").read_text("utf-8"))


def cases(kind: str) -> list[dict[str, Any]]:
    found = [case for case in VECTORS["cases"] if case["kind"] == kind]
    assert found
    return found


def test_the_golden_similarities() -> None:
    for case in cases("similarity"):
        first, second = (torch.tensor(case[key]).reshape(case["shape"]) for key in ("first", "second"))
        assert cosine_similarity(first, second) == pytest.approx([case["similarity"]], abs=1e-9)


def test_the_golden_runs() -> None:
    """Euler over the field that the vectors' file describes."""
    for case in cases("run"):
        steps = case["steps"]
        # ComfyUI's simple schedule at shift 3, from its table of 1000 times.
        times = [(1000 - int(i * 1000 / steps)) / 1000 for i in range(steps)] + [0.0]
        sigmas = torch.tensor([3 * t / (1 + 2 * t) for t in times])

        def model(x: Tensor, sigma: Tensor) -> Tensor:
            time = sigma.reshape(-1, 1, 1, 1, 1)
            return x - time * (0.5 * x + 0.4 * (3 * time).cos() - 0.25 * time)

        config = LeapConfig(**case["config"])
        record = LeapRecord(config)
        noise = torch.tensor(case["noise"]).reshape(case["shape"]) * sigmas[0]
        found = leap_sample(model, noise, sigmas, sampler=euler, config=config, record=record)
        assert record.leap_steps == [case["leap"]]
        assert record.similarities[0] == pytest.approx(case["curve"], abs=1e-6)
        expected = torch.tensor(case["result"]).reshape(case["shape"])
        assert torch.allclose(found, expected, rtol=0, atol=VECTORS["tolerance"])
