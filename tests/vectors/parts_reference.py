"""Golden vectors of the parts of a schedule and of tiled decoding, from ComfyUI's own nodes and functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def vectors(patcher: Callable[[], Any]) -> dict[str, Any]:
    """The file parts.json; `patcher` makes the MODEL of a flow with shift 3."""
    import comfy.samplers
    import torch
    from comfy_extras.nodes_custom_sampler import ManualSigmas, SplitSigmas
    from comfy_extras.nodes_lt import LTXVScheduler

    seen: list[Any] = []
    real, comfy.samplers.sample = comfy.samplers.sample, lambda *given, **_: seen.append(given[7])
    cases = []
    try:
        for steps, denoise in ((8, 1.0), (1, 1.0), (6, 0.5)):
            for start, end in ((0, 10000), (0, 3), (3, 10000), (2, 5), (4, 4), (5, 2), (8, 10000), (0, 8)):
                for finish in (False, True):
                    seen.clear()
                    sampler = comfy.samplers.KSampler(patcher(), steps, "cpu", "euler", "simple", denoise)
                    sampler.sample(
                        None, None, None, 1.0, 0, start_step=start, last_step=end, force_full_denoise=finish
                    )
                    schedule = {"name": "simple", "shift": 3.0, "denoise": denoise, "multiplier": 1.0}
                    schedule |= {"start": start, "end": end, "finish": finish}
                    cases.append(
                        {
                            "schedule": schedule,
                            "steps": steps,
                            "sigmas": _numbers(seen[0]) if seen else [],
                        }
                    )
    finally:
        comfy.samplers.sample = real
    text = "1., 0.99375, .9875; 0.909375 0.725,0.421875, 0.0"
    (sigmas,) = ManualSigmas.execute(text).args
    values = _numbers(sigmas)
    cases.append(
        {
            "schedule": {"name": "manual", "sigmas": values, "multiplier": 1.0},
            "text": text,
            "steps": None,
            "sigmas": values,
        }
    )
    for step in (1, 4):
        high, low = (_numbers(part) for part in SplitSigmas.execute(sigmas, step).args)
        manual = {"name": "manual", "sigmas": values, "multiplier": 1.0}
        cases.append({"schedule": {**manual, "end": step}, "steps": None, "sigmas": high})
        cases.append({"schedule": {**manual, "start": step}, "steps": None, "sigmas": low})
    # What is left above a sigma, and then that sigma: High-Low Split's first schedule.
    whole = comfy.samplers.calculate_sigmas(patcher().get_model_object("model_sampling"), "simple", 9)
    for until in (0.76, 0.9, float(whole[3]), 1.0):
        above = whole[whole > torch.tensor(until)]
        schedule = {"name": "simple", "shift": 3.0, "denoise": 1.0, "multiplier": 1.0, "until": until}
        joined = [*_numbers(above), until] if len(above) else []
        cases.append({"schedule": schedule, "steps": 9, "sigmas": joined})
    for steps, shape, widest, base, stretch, terminal in (
        (20, None, 2.05, 0.95, True, 0.1),
        (8, (5, 15, 22), 2.05, 0.95, True, 0.1),
        (30, (21, 16, 24), 3.0, 0.5, True, 0.0),
        (1, (2, 3, 4), 2.05, 0.95, False, 0.1),
        (12, (2, 3, 4), 0.0, 1.5, False, 0.5),
    ):
        latent = None if shape is None else {"samples": torch.zeros(1, 128, *shape)}
        schedule = {
            "name": "ltxv",
            "tokens": 4096 if shape is None else math.prod(shape),
            "max_shift": widest,
            "base_shift": base,
            "stretch": stretch,
            "terminal": terminal,
            "multiplier": 1.0,
        }
        (made,) = LTXVScheduler.execute(steps, widest, base, stretch, terminal, latent).args
        cases.append({"schedule": schedule, "steps": steps, "sigmas": _numbers(made)})
    return {
        "about": (
            "What a plan's schedule gives: the sigmas that ComfyUI's KSampler hands to its sampler for"
            " start, end and finish (force_full_denoise), none where it returns the latent as it is;"
            " ManualSigmas, SplitSigmas and LTXVScheduler. A list of one sigma means no step."
        ),
        "tolerance": 1e-6,
        "cases": cases,
    }


def tiling() -> dict[str, Any]:
    """The file tiling.json: ComfyUI's tiled_scale_multidim around a decoder that is a formula."""
    import torch
    from comfy.utils import tiled_scale_multidim

    cases = []
    for shape, size, overlap, scale in (
        ((2, 2, 3), (9, 9, 9), (1, 2, 2), (2, 1, 2)),
        ((3, 2, 5), (9, 2, 3), (1, 1, 1), (2, 2, 2)),
        ((5, 4, 3), (3, 3, 2), (1, 2, 1), (2, 1, 1)),
        ((4, 2, 2), (2, 9, 9), (1, 1, 1), (4, 2, 1)),
        ((2, 3, 4), (9, 2, 2), (1, 0, 0), (2, 2, 1)),
    ):
        latent = torch.randn((1, 2, *shape), generator=torch.Generator().manual_seed(sum(shape)))

        def decode(piece: Any, scale: tuple[int, ...] = scale) -> Any:
            """Three colours, a sum over the tile so that tiles differ, and the causal number of frames."""
            mixed = torch.cat([piece, piece.mean(dim=1, keepdim=True)], dim=1) + piece.mean()
            for axis, factor in enumerate(scale):
                mixed = mixed.repeat_interleave(factor, dim=axis + 2)
            return mixed[:, :, scale[0] - 1 :]

        time = scale[0]
        result = tiled_scale_multidim(
            latent,
            decode,
            tile=size,
            overlap=overlap,
            upscale_amount=(lambda frames, time=time: max(0, frames * time - time + 1), *scale[1:]),
            index_formulas=scale,
            out_channels=3,
        )
        cases.append(
            {
                "shape": list(latent.shape),
                "latent": _numbers(latent),
                "size": list(size),
                "overlap": list(overlap),
                "scale": list(scale),
                "result_shape": list(result.shape),
                "result": _numbers(result),
            }
        )
    return {
        "about": (
            "ComfyUI's tiled_scale_multidim as its video VAEs call it. The decoder gives the two channels and"
            " their mean, plus the mean of the whole tile, repeats every cell by scale, and leaves out the"
            " first scale[0] - 1 frames."
        ),
        "tolerance": 1e-5,
        "cases": cases,
    }


def _numbers(tensor: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
