"""Golden vectors of whole sampling loops, by ComfyUI's own samplers over a network that is a formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from leap_reference import ADAPTIVE, decision

SHAPE = (1, 2, 3, 2, 4)
SAMPLERS = (
    "euler",
    "heun",
    "dpm_2",
    "dpmpp_2m",
    "res_multistep",
    "gradient_estimation",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
)


def field(x: Any, time: Any, context: float) -> Any:
    """The analytic velocity of the sampling vectors; `time` is `[1, 1, F, 1, 1]`."""
    return 0.5 * x + context * (3.0 * time).cos() - 0.25 * time


def settings() -> Iterator[dict[str, Any]]:
    """What is varied: guidance, first frame, schedule and its part, latent, noise, leap, sampler."""
    plain: dict[str, Any] = {"shift": 3.0, "scale": 1.0, "negative": None, "given": False}
    plain["sampler"] = "euler"
    yield {**plain, "schedule": "simple", "steps": 1}
    yield {**plain, "schedule": "simple", "steps": 25}
    yield {**plain, "schedule": "simple", "steps": 8, "scale": 4.0, "negative": -0.3}
    yield {
        **plain,
        "schedule": "beta",
        "steps": 8,
        "shift": 1.0,
        "scale": 2.0,
        "negative": 0.1,
        "given": True,
    }
    yield {**plain, "schedule": "normal", "steps": 12, "shift": 8.0, "negative": 0.1, "given": True}
    yield {**plain, "schedule": "sgm_uniform", "steps": 4, "scale": 5.0, "negative": -0.3, "given": True}
    for sampler in SAMPLERS:
        chosen = {**plain, "sampler": sampler, "schedule": "simple"}
        yield {**chosen, "steps": 2}
        yield {**chosen, "steps": 3}
        yield {**chosen, "steps": 9, "scale": 4.0, "negative": -0.3, "given": True}
        yield {**chosen, "steps": 20, "schedule": "beta"}
        # A latent that is half denoised, one that goes on from leftover noise, one that leaves noise over.
        yield {**chosen, "steps": 10, "start": 4, "latent": True}
        yield {**chosen, "steps": 10, "start": 4, "latent": True, "noise": False, "given": True}
        yield {**chosen, "steps": 12, "end": 7}
        yield {**chosen, "steps": 10, "leap": {"mode": "fixed", "step": 6}}
        waiting = {**ADAPTIVE, "minimum": 0.05, "tolerance": 0.003, "patience": 4}
        yield {**chosen, "steps": 24, "shift": 0.2, "leap": waiting}
        yield {**chosen, "steps": 12, "end": 9, "given": True, "leap": {"mode": "fixed", "step": 4}}


class Network:
    """What KSAMPLER sees of a model: CFGGuider over a rectified flow with an analytic velocity."""

    def __init__(self, flow: Any, case: dict[str, Any], mask: Any, clean: Any) -> None:
        self.inner_model = self
        self.model_patcher = self.model = self
        self.model_sampling = flow
        self.cfg = case["scale"]
        self.case, self.mask, self.clean = case, mask, clean

    def get_model_object(self, name: str) -> Any:
        return {"model_sampling": self.model_sampling}[name]

    def scale_latent_inpaint(self, **_: Any) -> Any:
        return self.clean

    def denoise(self, x: Any, sigma: Any, context: float) -> Any:
        time = self.model_sampling.timestep(sigma).view(-1, 1, 1, 1, 1) * self.mask
        return self.model_sampling.calculate_denoised(sigma, field(x, time, context), x)

    def __call__(self, x: Any, sigma: Any, model_options: Any = None, seed: Any = None) -> Any:
        from comfy.samplers import cfg_function

        positive = self.denoise(x, sigma, self.case["positive"])
        if self.case["negative"] is None or math.isclose(self.case["scale"], 1.0):
            return positive
        negative = self.denoise(x, sigma, self.case["negative"])
        return cfg_function(None, positive, negative, self.case["scale"], x, sigma)


class Leapt(BaseException):
    """Leaves a sampler at the step of its leap."""


def leaping(sampler: Any, config: dict[str, Any], total: int) -> list[int]:
    """Make a KSAMPLER return x0, or the state at its last sigma, of what the network said at its leap.

    The step of the leap is in the list once the sampler has run; without a leap it stays empty.
    """
    leapt: list[int] = []
    import torch

    inner = sampler.sampler_function

    def leap(
        model: Any, x: Any, sigmas: Any, extra_args: Any, callback: Any, disable: Any, **more: Any
    ) -> Any:
        given, last = sigmas.clone(), []

        class Watched:
            inner_model = model.inner_model

            def __call__(self, x: Any, sigma: Any, **more: Any) -> Any:
                denoised = model(x, sigma, **more)
                last[:] = [x, sigma, denoised]
                return denoised

        curve: list[float | None] = []
        drifts: list[Any] = []

        def told(info: Any) -> None:
            at, sigma, denoised = last
            drifts.append(((at - denoised) / sigma).double().flatten())
            if len(drifts) > 1:
                curve.append(float(torch.nn.functional.cosine_similarity(*drifts[-2:], dim=0)))
            if decision(config, total, curve) == info["i"]:
                leapt.append(info["i"])
                raise Leapt

        try:
            return inner(Watched(), x, sigmas, extra_args=extra_args, callback=told, disable=disable, **more)
        except Leapt:
            sigmas.copy_(given)
            at, sigma, denoised = last
            return denoised if given[-1] == 0 else at + (at - denoised) / sigma * (given[-1] - sigma)

    sampler.sampler_function = leap
    return leapt


def vectors(sampling_model: Callable[[float, float], Any]) -> dict[str, Any]:
    """The file sampling.json."""
    import torch
    from comfy.samplers import KSampler, calculate_sigmas, sampler_object

    assert set(SAMPLERS) <= set(KSampler.SAMPLERS)
    cases = []
    for chosen in settings():
        chosen = dict(chosen)
        given, generator = chosen.pop("given"), torch.Generator().manual_seed(11)
        noise = torch.randn(SHAPE, generator=generator)
        first = torch.randn((*SHAPE[:2], 1, *SHAPE[3:]), generator=generator)
        mask, clean = torch.ones(1, 1, SHAPE[2], 1, 1), torch.zeros(SHAPE)
        latent = torch.randn(SHAPE, generator=generator) if chosen.pop("latent", False) else None
        if latent is not None:
            clean = latent.clone()
        if given:
            mask[:, :, 0] = 0
            if latent is None:
                clean[:, :, :1] = first
        noisy = chosen.pop("noise", True)
        case = {"positive": 0.4, **chosen}
        network = Network(sampling_model(case["shift"], 1.0), case, mask, clean)
        sigmas = calculate_sigmas(network.model_sampling, case["schedule"], case["steps"])
        sigmas = sigmas[case.get("start", 0) : case.get("end", case["steps"]) + 1].clone()
        sampler = sampler_object(case["sampler"])
        leapt = leaping(sampler, case["leap"], len(sigmas) - 1) if "leap" in case else []
        result = sampler.sample(
            network,
            sigmas,
            {"model_options": {}, "seed": 0},
            None,
            noise.clone() if noisy else torch.zeros(SHAPE),
            clean,
            mask.expand(SHAPE) if given else None,
            disable_pbar=True,
        )
        cases.append(
            {
                **case,
                "shape": list(SHAPE),
                "noise": _numbers(noise) if noisy else None,
                "latent": None if latent is None else _numbers(latent),
                "first_frame": _numbers(first) if given and latent is None else None,
                "keep_first_frame": given and latent is not None,
                "leapt": leapt[0] if leapt else None,
                "result": _numbers(result),
            }
        )
    return {
        "about": (
            "ComfyUI's KSAMPLER (noise scaling, inpainting mask, guidance, inverse scaling) over the velocity"
            " 0.5 x + c cos(3 t) - 0.25 t, where c is positive or negative and t the frame's own time (0 for"
            " a given first frame, else sigma). start and end cut the schedule; without noise it is zeros;"
            " with latent that is noised, else zeros. A leap gives x0 (or the state at the last sigma) of"
            " what the network said last at its step."
        ),
        "tolerance": 2e-5,
        "cases": cases,
    }


def _numbers(tensor: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
