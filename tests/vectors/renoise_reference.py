"""Golden vectors of few-step sampling with fresh noise: ComfyUI's own lcm on a CPU, over a formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sampling_reference import Network

# The second is no multiple of 16 numbers: torch then draws 16 more.
SHAPES = ((1, 2, 3, 2, 4), (1, 3, 3, 2, 4))
SCHEDULES = (
    (1.0, 0.0),
    (1.0, 0.76, 0.0),
    (1.0, 0.92, 0.76, 0.52, 0.0),
    (0.76, 0.52, 0.25),
)


def vectors(sampling_model: Callable[[float, float], Any]) -> dict[str, Any]:
    """The file renoise.json."""
    import torch
    from comfy.samplers import sampler_object

    cases = []
    for shape in SHAPES:
        for index, listed in enumerate(SCHEDULES):
            for given in (False, True):
                seed = (2**64 - 2, 7, 123456789, 42)[index]
                noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
                generator = torch.Generator().manual_seed(11)
                first = torch.randn((*shape[:2], 1, *shape[3:]), generator=generator)
                mask, clean = torch.ones(1, 1, shape[2], 1, 1), torch.zeros(shape)
                if given:
                    mask[:, :, 0] = 0
                    clean[:, :, :1] = first
                case = {"positive": 0.4, "negative": None, "scale": 1.0}
                network = Network(sampling_model(1.0, 1.0), case, mask, clean)
                result = sampler_object("lcm").sample(
                    network,
                    torch.tensor(listed),
                    {"model_options": {}, "seed": seed},
                    None,
                    noise,
                    clean,
                    mask.expand(shape) if given else None,
                    disable_pbar=True,
                )
                cases.append(
                    {
                        "positive": 0.4,
                        "seed": str(seed),
                        "sigmas": list(listed),
                        "shape": list(shape),
                        "first_frame": _numbers(first) if given else None,
                        "result": _numbers(result),
                    }
                )
    return {
        "about": (
            "ComfyUI's lcm sampler on a CPU over the field of sampling.json. The latent begins as torch's"
            " noise of the seed; that of the steps are the draws of a generator seeded with seed + 1."
        ),
        "tolerance": 2e-5,
        "cases": cases,
    }


def _numbers(tensor: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
