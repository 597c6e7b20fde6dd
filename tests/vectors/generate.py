"""Writes the golden vectors of this folder from torch and the real ComfyUI.

    .comfyui/venv/bin/python tests/vectors/generate.py [--comfyui FOLDER] [--check]

Every implementation of the sampling arithmetic (numpy on the device, TypeScript on the phone) must pass these
files; none of them is asked here. `--check` writes nothing and exits 1 when a number has moved by more
than its tolerance. A file is {"about", "tolerance", "cases"}; numbers are float32 written with 9 digits, and
arrays are flat, row-major, beside their shape.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEFAULT_COMFYUI = HERE.parents[1] / ".comfyui" / "ComfyUI"
SCHEDULES = (
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
)
SHAPE = (1, 2, 3, 2, 4)


def numbers(tensor: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]


def noise() -> dict[str, Any]:
    import torch

    cases = []
    for seed in (0, 1, 42, 123456789, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 0x9E3779B97F4A7C15, 2**64 - 1):
        for size in (1, 2, 7, 15, 16, 17, 31, 32, 33, 640):
            values = torch.randn(size, generator=torch.Generator().manual_seed(seed))
            cases.append(
                {
                    "seed": str(seed),
                    "size": size,
                    "first": numbers(values[:20]),
                    "last": numbers(values[-20:]),
                    "sum": float(values.double().sum()),
                }
            )
    return {
        "about": (
            "torch.randn(size, generator=torch.Generator().manual_seed(seed)), CPU: first and last 20 values."
        ),
        "tolerance": 1e-6,
        "cases": cases,
    }


def sampling_model(shift: float, multiplier: float) -> Any:
    from comfy.model_sampling import CONST, ModelSamplingDiscreteFlow

    class Flow(ModelSamplingDiscreteFlow, CONST):
        """As ComfyUI composes it for a rectified flow."""

    flow = Flow()
    flow.set_parameters(shift=shift, multiplier=multiplier)
    return flow


def schedules() -> dict[str, Any]:
    from comfy.samplers import KSampler

    class Patcher:
        """All that KSampler asks of a MODEL for its sigmas."""

        def __init__(self, flow: Any) -> None:
            self.flow = flow

        def get_model_object(self, name: str) -> Any:
            return {"model_sampling": self.flow}[name]

    cases = []
    for shift, multiplier in ((1.0, 1.0), (3.0, 1.0), (8.0, 1000.0), (0.5, 1.0)):
        for name in SCHEDULES:
            for steps, denoise in (
                (1, 1.0),
                (2, 1.0),
                (4, 1.0),
                (25, 1.0),
                (50, 1.0),
                (10, 0.6),
                (7, 0.33),
                (5, 0.0),
            ):
                if name == "kl_optimal" and steps == 1:
                    continue  # ComfyUI divides by zero
                sampler = KSampler(
                    Patcher(sampling_model(shift, multiplier)), steps, "cpu", "euler", name, denoise
                )
                cases.append(
                    {
                        "schedule": name,
                        "steps": steps,
                        "shift": shift,
                        "multiplier": multiplier,
                        "denoise": denoise,
                        "sigmas": numbers(sampler.sigmas),
                    }
                )
    return {
        "about": "Sigmas of ComfyUI's KSampler for ModelSamplingDiscreteFlow(shift, multiplier).",
        "tolerance": 1e-6,
        "cases": cases,
    }


def guidance() -> dict[str, Any]:
    import torch
    from comfy.samplers import cfg_function

    generator = torch.Generator().manual_seed(7)
    x, positive, negative = (torch.randn(SHAPE, generator=generator) for _ in range(3))
    cases = [
        {
            "scale": scale,
            "shape": list(SHAPE),
            "positive": numbers(positive),
            "negative": numbers(negative),
            "result": numbers(cfg_function(None, positive, negative, scale, x, torch.ones(1))),
        }
        for scale in (0.0, 1.0, 2.5, 7.0)
    ]
    return {
        "about": "ComfyUI's cfg_function on denoised latents, without hooks.",
        "tolerance": 1e-6,
        "cases": cases,
    }


def field(x: Any, time: Any, context: float) -> Any:
    """The analytic velocity of the sampling vectors; `time` is `[1, 1, F, 1, 1]`."""
    return 0.5 * x + context * (3.0 * time).cos() - 0.25 * time


def sampling() -> dict[str, Any]:
    import torch
    from comfy.samplers import KSampler, calculate_sigmas, cfg_function, sampler_object

    class Network:
        """What KSAMPLER sees of a model: CFGGuider over a rectified flow with an analytic velocity."""

        def __init__(self, flow: Any, case: dict[str, Any], mask: Any, clean: Any) -> None:
            self.inner_model = self
            self.model_patcher = self.model = self
            self.model_sampling = flow
            self.cfg = case["scale"]
            self.case, self.mask, self.clean = case, mask, clean

        def scale_latent_inpaint(self, **_: Any) -> Any:
            return self.clean

        def denoise(self, x: Any, sigma: Any, context: float) -> Any:
            time = self.model_sampling.timestep(sigma).view(-1, 1, 1, 1, 1) * self.mask
            return self.model_sampling.calculate_denoised(sigma, field(x, time, context), x)

        def __call__(self, x: Any, sigma: Any, model_options: Any = None, seed: Any = None) -> Any:
            positive = self.denoise(x, sigma, self.case["positive"])
            if self.case["negative"] is None or math.isclose(self.case["scale"], 1.0):
                return positive
            negative = self.denoise(x, sigma, self.case["negative"])
            return cfg_function(None, positive, negative, self.case["scale"], x, sigma)

    assert "euler" in KSampler.SAMPLERS
    cases = []
    for schedule, steps, shift, scale, negative, given in (
        ("simple", 1, 3.0, 1.0, None, False),
        ("simple", 25, 3.0, 1.0, None, False),
        ("simple", 8, 3.0, 4.0, -0.3, False),
        ("beta", 8, 1.0, 2.0, 0.1, True),
        ("normal", 12, 8.0, 1.0, 0.1, True),
        ("sgm_uniform", 4, 3.0, 5.0, -0.3, True),
    ):
        generator = torch.Generator().manual_seed(11)
        noise = torch.randn(SHAPE, generator=generator)
        first = torch.randn((*SHAPE[:2], 1, *SHAPE[3:]), generator=generator)
        mask, clean = torch.ones(1, 1, SHAPE[2], 1, 1), torch.zeros(SHAPE)
        if given:
            mask[:, :, 0] = 0
            clean[:, :, :1] = first
        case = {"positive": 0.4, "negative": negative, "scale": scale}
        network = Network(sampling_model(shift, 1.0), case, mask, clean)
        sigmas = calculate_sigmas(network.model_sampling, schedule, steps)
        result = sampler_object("euler").sample(
            network,
            sigmas,
            {"model_options": {}, "seed": 0},
            None,
            noise,
            clean,
            mask.expand(SHAPE) if given else None,
            disable_pbar=True,
        )
        cases.append(
            {
                "sampler": "euler",
                "schedule": schedule,
                "steps": steps,
                "shift": shift,
                **case,
                "shape": list(SHAPE),
                "noise": numbers(noise),
                "first_frame": numbers(first) if given else None,
                "result": numbers(result),
            }
        )
    return {
        "about": (
            "ComfyUI's KSAMPLER (noise scaling, inpainting mask, guidance, inverse scaling) over the velocity"
            " 0.5 x + c cos(3 t) - 0.25 t, where c is positive or negative and t the frame's own time (0 for"
            " a given first frame, else sigma)."
        ),
        "tolerance": 2e-5,
        "cases": cases,
    }


def resize() -> dict[str, Any]:
    import torch
    from comfy.utils import common_upscale

    cases = []
    for old, new in (
        ((5, 9), (4, 4)),
        ((9, 5), (8, 16)),
        ((3, 3), (12, 12)),
        ((7, 4), (7, 4)),
        ((11, 30), (6, 4)),
    ):
        pixels = torch.randint(0, 256, (*old, 3), generator=torch.Generator().manual_seed(sum(old)))
        image = (pixels.float() / 255).movedim(-1, 0)[None]
        result = common_upscale(image, new[1], new[0], "bilinear", "center")
        cases.append(
            {
                "shape": [*old, 3],
                "pixels": pixels.flatten().tolist(),
                "height": new[0],
                "width": new[1],
                "result": numbers(result[0].movedim(0, -1)),
            }
        )
    return {
        "about": "ComfyUI's common_upscale(image, width, height, 'bilinear', 'center'), pixels / 255.",
        "tolerance": 1e-6,
        "cases": cases,
    }


def leap() -> dict[str, Any]:
    import leap_reference
    from comfy.samplers import calculate_sigmas

    flow = sampling_model(3.0, 1.0)
    return leap_reference.vectors(lambda steps: calculate_sigmas(flow, "simple", steps), field)


VECTORS = {
    "noise": noise,
    "schedules": schedules,
    "guidance": guidance,
    "sampling": sampling,
    "resize": resize,
    "leap": leap,
}


def differs(old: Any, new: Any, tolerance: float) -> bool:
    """True when two JSON values differ by more than a tolerance in any number."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() != new.keys() or any(differs(old[key], new[key], tolerance) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) != len(new) or any(differs(a, b, tolerance) for a, b in zip(old, new, strict=True))
    if isinstance(old, float) and isinstance(new, (float, int)):
        return abs(old - new) > tolerance * max(1.0, abs(old))
    return bool(old != new)


def enter_comfyui(folder: Path) -> None:
    """Make `comfy` importable in this process, on the CPU."""
    sys.path[:0] = [str(folder), str(HERE.parent)]
    from host import cpu_shim

    cpu_shim.install()
    sys.argv = [sys.argv[0], "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--comfyui", type=Path, default=DEFAULT_COMFYUI, help="folder of the real ComfyUI")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a file is out of date"
    )
    options = parser.parse_args()
    enter_comfyui(options.comfyui)
    stale = 0
    for name, make in VECTORS.items():
        path = HERE / f"{name}.json"
        new = make()
        if options.check:
            old = json.loads(path.read_text("utf-8")) if path.exists() else None
            if differs(old, new, new["tolerance"]):
                stale += 1
                sys.stderr.write(f"{path.name} is not what this ComfyUI and torch give; write it again.\n")
        else:
            lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in new["cases"])
            head = json.dumps({key: new[key] for key in ("about", "tolerance")})[:-1]
            path.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', "utf-8")
            sys.stdout.write(f"wrote {path.name}: {len(new['cases'])} cases\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
