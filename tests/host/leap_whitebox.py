"""Every sampler of ComfyUI with a leap, in ComfyUI's process: `python cpu_shim.py leap_whitebox.py COMFYUI`.

Writes one JSON object for test_leap_samplers.py. The network is a formula, so that a run takes milliseconds;
all else is the host's: its samplers, its inpainting, its guidance and its progress callback.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPE = (2, 2, 3, 4, 4)
STEPS = 12
LEAP = 7


def main() -> None:
    comfyui = sys.argv[1]
    sys.path[:0] = [comfyui, str(Path(__file__).resolve().parents[1])]
    sys.argv = ["main.py", "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    from host.whitebox import import_pack

    import_pack()
    import comfy.samplers
    import torch

    torch.set_grad_enabled(False)
    seen: dict[str, Any] = {name: look(sampler_named(name)) for name in comfy.samplers.SAMPLER_NAMES}
    churned = {"s_churn": 4.0}
    for name in ("euler", "heun", "dpm_2"):
        seen[f"{name} with churn"] = look(functools.partial(comfy.samplers.ksampler, name, churned))
    seen["ar_video"] = look(lambda: comfy.samplers.ksampler("ar_video"))
    more = {"masked": masked(), "not a flow": not_a_flow(), "split": split(), "batch": batch()}
    sys.stdout.write(json.dumps({"samplers": seen, **more, "refused": refused()}) + "\n")


def sampler_named(name: str) -> Callable[[], Any]:
    import comfy.samplers

    return lambda: comfy.samplers.sampler_object(name)


def network(*, eps: bool = False, turn: float = 1.0) -> Any:
    """What KSAMPLER sees of a model: a guider over a rectified flow (or noise prediction) with a formula.

    Its velocity turns by `turn` while there is much noise; item 1 of a batch turns six times as fast.
    """
    import comfy.model_sampling
    import comfy.samplers
    import torch

    class Flow(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        """As ComfyUI composes it for a rectified flow."""

    class Eps(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
        """As ComfyUI composes it for noise prediction."""

    class Network:
        def __init__(self) -> None:
            self.inner_model = self.model_patcher = self.model = self
            self.model_sampling = Eps() if eps else Flow()
            if not eps:
                self.model_sampling.set_parameters(shift=3.0, multiplier=1.0)
            self.cfg = 3.0
            self.calls = 0

        def get_model_object(self, name: str) -> Any:
            return getattr(self, name)

        def scale_latent_inpaint(self, *, sigma: Any, noise: Any, latent_image: Any, **_: Any) -> Any:
            return self.model_sampling.noise_scaling(sigma.reshape(-1, 1, 1, 1, 1), noise, latent_image)

        def __call__(self, x: Any, sigma: Any, model_options: Any = None, seed: Any = None) -> Any:
            self.calls += 1
            options = model_options or {}
            wanted, unwanted = self.predict(x, sigma, 0.7), self.predict(x, sigma, -0.2)
            return comfy.samplers.cfg_function(
                None, wanted, unwanted, self.cfg, x, sigma, model_options=options
            )

        def predict(self, x: Any, sigma: Any, context: float) -> Any:
            noisy = self.model_sampling.calculate_input(sigma, x)
            time = (sigma / (1 + sigma) if eps else sigma).reshape(-1, 1, 1, 1, 1)
            speed = torch.linspace(1.0, 6.0, x.shape[0]).reshape(-1, 1, 1, 1, 1) * turn
            ramp = torch.linspace(-1, 1, x[0].numel()).reshape(1, *x.shape[1:])
            output = 0.5 * noisy + context * (speed * 3 * time**4 + 5 * ramp).cos()
            return self.model_sampling.calculate_denoised(sigma, output, x)

    return Network()


def schedule(model: Any, steps: int = STEPS) -> Any:
    import comfy.samplers

    return comfy.samplers.calculate_sigmas(model.model_sampling, "simple", steps)


def noise(items: int = SHAPE[0]) -> Any:
    import torch

    return torch.randn((SHAPE[0], *SHAPE[1:]), generator=torch.Generator().manual_seed(4))[:items]


def run(sampler: Any, model: Any, sigmas: Any, start: Any, mask: Any = None, clean: Any = None) -> Any:
    """One run of a SAMPLER: its result, and what its callback was told by step."""
    import torch

    told: list[tuple[int, Any]] = []
    # Churn draws from the global generator.
    torch.manual_seed(9)
    result = sampler.sample(
        model,
        # uni_pc writes into what it is given.
        sigmas.clone(),
        {"model_options": {}, "seed": 3},
        lambda i, denoised, x, total: told.append((i, denoised.clone())),
        start.clone(),
        torch.zeros_like(start) if clean is None else clean,
        mask,
        disable_pbar=True,
    )
    return result, told


def leaping(sampler: Any, **config: Any) -> Any:
    from comfyui_pocketvideo.nodes.host.leaping import with_leap
    from comfyui_pocketvideo.pocketvideo.acceleration.leaping import LeapConfig

    return with_leap(sampler, LeapConfig(**config), None)


def last_record(sampler: Any) -> Any:
    return sampler.sampler_function.runs[""]


def look(make: Callable[[], Any]) -> dict[str, Any]:
    """A plain run beside a leap, and beside a Leap that never leaps."""
    try:
        fixed = leaping(make(), mode="fixed", step=LEAP)
    except ValueError as error:
        return {"refused": str(error)}
    model = network()
    sigmas = schedule(model)
    plain, plain_told = run(make(), model, sigmas, noise())
    plain_calls = model.calls
    # What the host itself showed as the finished latent at that step.
    expected = dict(plain_told)[LEAP]
    model = network()
    found, told = run(fixed, model, sigmas, noise())
    calls = model.calls
    never, _ = run(leaping(make(), mode="fixed", step=STEPS), network(), sigmas, noise())
    record = last_record(fixed)
    return {
        "error": (found - expected).abs().max().item(),
        "size": expected.abs().max().item(),
        "untouched": bool((never == plain).all()),
        "calls": calls,
        "plain_calls": plain_calls,
        "record": record.as_dict(),
        "indices": [i for i, _ in told],
        "last_told": (told[-1][1] - found).abs().max().item(),
    }


def masked() -> dict[str, Any]:
    """A given first frame: it comes out as it went in."""
    import comfy.samplers
    import torch

    model = network()
    mask, clean = torch.ones(SHAPE), torch.zeros(SHAPE)
    mask[:, :, 0] = 0
    clean[:, :, 0] = 0.3
    sampler = leaping(comfy.samplers.sampler_object("euler"), mode="fixed", step=LEAP)
    found, _ = run(sampler, model, schedule(model), noise(), mask, clean)
    return {"error": (found[:, :, 0] - 0.3).abs().max().item(), "moved": found[:, :, 1:].std().item()}


def not_a_flow() -> dict[str, Any]:
    import comfy.samplers

    model = network(eps=True)
    sampler = leaping(comfy.samplers.sampler_object("euler"), mode="fixed", step=LEAP)
    sigmas = schedule(model)
    _, told = run(comfy.samplers.sampler_object("euler"), network(eps=True), sigmas, noise())
    found, _ = run(sampler, model, sigmas, noise())
    record = last_record(sampler)
    return {"error": (found - dict(told)[LEAP]).abs().max().item(), "record": record.as_dict()}


def split() -> dict[str, Any]:
    """The first part of a split schedule ends at the state that its sigma asks for."""
    import comfy.samplers

    model = network()
    sigmas = schedule(model)[:9]
    sampler = leaping(comfy.samplers.sampler_object("dpmpp_2m"), mode="fixed", step=5)
    states: list[Any] = []
    plain = comfy.samplers.sampler_object("dpmpp_2m")
    plain.sample(
        network(),
        sigmas,
        {"model_options": {}, "seed": 3},
        lambda i, denoised, x, total: states.append((x.clone(), denoised.clone())),
        noise(),
        0 * noise(),
        None,
        disable_pbar=True,
    )
    found, told = run(sampler, model, sigmas, noise())
    x, denoised = states[5]
    end, now = sigmas[-1], sigmas[5]
    # KSAMPLER divides by 1 - sigma for a rectified flow.
    expected = (denoised + (x - denoised) * end / now) / (1 - end)
    return {
        "error": (found - expected).abs().max().item(),
        "indices": [i for i, _ in told],
        "calls": model.calls,
    }


def batch() -> dict[str, Any]:
    """Two videos at once leap where each leaps alone, to the same result."""
    import comfy.samplers
    import torch

    settings = {"mode": "adaptive", "minimum": 0.4, "tolerance": 0.001, "patience": 2}
    sigmas = schedule(network(), 30)

    both_model = network(turn=0.2)
    sampler = leaping(comfy.samplers.sampler_object("dpmpp_2m"), **settings)
    both, _ = run(sampler, both_model, sigmas, noise())
    steps = last_record(sampler).leap_steps
    alone = []
    for item in range(2):
        model = network(turn=0.2)
        whole = model.predict

        def predict(x: Any, sigma: Any, context: float, item: int = item, whole: Any = whole) -> Any:
            return whole(x.repeat(2, 1, 1, 1, 1), sigma.repeat(2), context)[item : item + 1]

        model.predict = predict
        one = leaping(comfy.samplers.sampler_object("dpmpp_2m"), **settings)
        result, _ = run(one, model, sigmas, noise()[item : item + 1])
        alone.append((result, last_record(one).leap_steps[0], model.calls))
    errors = [
        (both[item : item + 1] - result).abs().max().item() for item, (result, _, _) in enumerate(alone)
    ]
    return {
        "steps": steps,
        "alone": [step for _, step, _ in alone],
        "errors": errors,
        "calls": both_model.calls,
        "calls_alone": [calls for _, _, calls in alone],
        "finite": bool(torch.isfinite(both).all()),
    }


def refused() -> dict[str, str]:
    import comfy.samplers

    sentences = {}
    once = leaping(comfy.samplers.sampler_object("euler"))
    for name, sampler in (("twice", once), ("not a KSAMPLER", comfy.samplers.Sampler())):
        try:
            leaping(sampler)
        except ValueError as error:
            sentences[name] = str(error)
    return sentences


if __name__ == "__main__":
    main()
