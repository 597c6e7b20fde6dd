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


class Patcher:
    """All that KSampler asks of a MODEL for its sigmas."""

    load_device = "cpu"

    def __init__(self, flow: Any) -> None:
        self.flow = flow

    def get_model_object(self, name: str) -> Any:
        return {"model_sampling": self.flow}[name]


def schedules() -> dict[str, Any]:
    from comfy.model_sampling import ModelSamplingFlux
    from comfy.samplers import KSampler

    cases = []
    for curve, shift, multiplier, solver in (
        ("flow", 1.0, 1.0, "euler"),
        ("flow", 3.0, 1.0, "euler"),
        ("flow", 8.0, 1000.0, "euler"),
        ("flow", 0.5, 1.0, "euler"),
        ("flow", 3.0, 1.0, "uni_pc"),
        ("flux", 2.37, 1.0, "euler"),
    ):
        model = sampling_model(shift, multiplier)
        if curve == "flux":
            model = ModelSamplingFlux()
            model.set_parameters(shift=shift)
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
                if name == "kl_optimal" and steps == 1 and solver == "euler":
                    continue  # ComfyUI divides by zero
                sampler = KSampler(Patcher(model), steps, "cpu", solver, name, denoise)
                cases.append(
                    {
                        "schedule": name,
                        "steps": steps,
                        "shift": shift,
                        "multiplier": multiplier,
                        "denoise": denoise,
                        "curve": curve,
                        "drop_penultimate": solver in KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS,
                        "sigmas": numbers(sampler.sigmas),
                    }
                )
    return {
        "about": (
            "Sigmas of ComfyUI's KSampler for ModelSamplingDiscreteFlow(shift, multiplier), or, where curve"
            " is flux, ModelSamplingFlux(shift); drop_penultimate is what it does for uni_pc."
        ),
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


def renoise() -> dict[str, Any]:
    import renoise_reference

    return renoise_reference.vectors(sampling_model)


def parts() -> dict[str, Any]:
    import parts_reference

    return parts_reference.vectors(lambda: Patcher(sampling_model(3.0, 1.0)))


def sampling() -> dict[str, Any]:
    import sampling_reference

    return sampling_reference.vectors(sampling_model)


def tiling() -> dict[str, Any]:
    import parts_reference

    return parts_reference.tiling()


def merging() -> dict[str, Any]:
    import merging_reference

    return merging_reference.vectors()


def tokenizers() -> dict[str, Any]:
    import tokenizers_reference

    return tokenizers_reference.vectors(comfyui_folder())


def comfyui_folder() -> Path:
    """Where the ComfyUI is that was entered."""
    import comfy

    return Path(comfy.__path__[0]).parent


def leap() -> dict[str, Any]:
    import leap_reference
    import sampling_reference
    from comfy.samplers import calculate_sigmas

    flow = sampling_model(3.0, 1.0)
    return leap_reference.vectors(
        lambda steps: calculate_sigmas(flow, "simple", steps), sampling_reference.field
    )


VECTORS = {
    "noise": noise,
    "schedules": schedules,
    "parts": parts,
    "renoise": renoise,
    "guidance": guidance,
    "sampling": sampling,
    "resize": resize,
    "tiling": tiling,
    "leap": leap,
    "merging": merging,
    "tokenizers": tokenizers,
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
