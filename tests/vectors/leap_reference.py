"""Golden vectors of the leap, from its definition in torch: neither controller nor sampler of ours is asked.

A leap comes at the first step t, with ceil(minimum x steps) <= t < steps - 1, at which `patience` or more
measurements have passed since the last that beat the best before it by more than `tolerance`. The first
measurement, at step 1, always does; one that is not finite is none, and no leap comes at it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

SHAPE = (1, 2, 3, 2, 4)
ADAPTIVE = {"mode": "adaptive", "minimum": 0.5, "tolerance": 0.001, "patience": 3}
CONFIGS: tuple[dict[str, Any], ...] = (
    ADAPTIVE,
    {**ADAPTIVE, "minimum": 0.0, "patience": 1},
    {**ADAPTIVE, "minimum": 0.55, "tolerance": 0.0, "patience": 2},
    {**ADAPTIVE, "minimum": 0.9, "tolerance": 0.05},
    {**ADAPTIVE, "minimum": 1.0},
    {"mode": "fixed", "step": 0},
    {"mode": "fixed", "step": 15},
    {"mode": "fixed", "step": 19},
)


def decision(config: dict[str, Any], total: int, curve: list[float | None]) -> int | None:
    """The step of the leap; `curve[t - 1]` is the similarity at step t, None one that is not finite."""
    if config["mode"] == "fixed":
        step = config["step"]
        finite = step == 0 or (step <= len(curve) and curve[step - 1] is not None)
        return step if step < total - 1 and finite else None
    fraction = str(config["minimum"])
    digits = len(fraction.partition(".")[2])
    earliest = -(-round(config["minimum"] * 10**digits) * total // 10**digits)
    best, since = -math.inf, 0
    for step, value in enumerate(curve, start=1):
        if value is None:
            continue
        if value > best + config["tolerance"]:
            best, since = value, 0
        else:
            since += 1
        if since >= config["patience"] and earliest <= step < total - 1:
            return step
    return None


def curves() -> list[tuple[int, list[float | None]]]:
    """Schedules' lengths with the similarities of their steps 1, 2, ..."""
    rising = [round(1 - 0.5 * math.exp(-step / 4), 6) for step in range(1, 30)]
    late: list[float | None] = [0.9] * 14 + [0.95] * 15
    broken: list[float | None] = [*rising[:16], None, *rising[17:]]
    wave = [round(0.9 + 0.05 * math.sin(step), 6) for step in range(1, 20)]
    slow = [round(0.9 + 0.0004 * step, 6) for step in range(1, 30)]
    return [(30, [*rising]), (30, late), (30, broken), (20, [*wave]), (30, [*slow]), (5, [0.9] * 4), (1, [])]


def vectors(sigmas_of: Callable[[int], Any], field: Callable[..., Any]) -> dict[str, Any]:
    """The file's content; `sigmas_of` gives ComfyUI's schedule, `field` the velocity of sampling.json."""
    cases = [
        {
            "kind": "decision",
            "config": config,
            "steps": total,
            "curve": curve,
            "leap": decision(config, total, curve),
        }
        for total, curve in curves()
        for config in CONFIGS
    ]
    return {
        "about": (
            "Linear Proportional Leap. decision: similarities of steps 1, 2, ... (null is not finite) to the"
            " step of the leap. similarity: two drifts to the cosine of their angle, 1 where one is zero."
            " run: Euler over the field of sampling.json (context 0.4, no guidance) with ComfyUI's simple"
            " schedule at shift 3, its curve, the step of the leap and the latent."
        ),
        "tolerance": 2e-5,
        "cases": [*cases, *similarities(), *runs(sigmas_of, field)],
    }


def similarities() -> list[dict[str, Any]]:
    import torch

    generator = torch.Generator().manual_seed(13)
    a, b = (torch.randn(SHAPE, generator=generator) for _ in range(2))
    pairs = ((a, b), (a, a + 0.01 * b), (a, -3 * a), (a, 1e-20 * a + 1e-22 * b), (a, 0 * a), (0 * a, 0 * a))
    cases = []
    for first, second in pairs:
        lengths = first.double().norm() * second.double().norm()
        dot = (first.double() * second.double()).sum()
        value = 1.0 if lengths == 0 else float(dot / lengths)
        cases.append(
            {
                "kind": "similarity",
                "shape": list(SHAPE),
                "first": _numbers(first),
                "second": _numbers(second),
                "similarity": value,
            }
        )
    return cases


def runs(sigmas_of: Callable[[int], Any], field: Callable[..., Any]) -> list[dict[str, Any]]:
    import torch

    cases = []
    for steps, config in (
        (12, {"mode": "fixed", "step": 7}),
        (12, {"mode": "fixed", "step": 11}),
        (20, {**ADAPTIVE, "minimum": 0.4, "patience": 2}),
        (20, {**ADAPTIVE, "minimum": 0.4, "tolerance": 1e-6, "patience": 1}),
    ):
        noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(17))
        sigmas = sigmas_of(steps)
        x, before, curve, leap = sigmas[0] * noise, None, [], None
        for step in range(steps):
            velocity = field(x, sigmas[step].view(1, 1, 1, 1, 1), 0.4)
            if before is not None:
                flat = [v.double().flatten() for v in (velocity, before)]
                curve.append(float(torch.nn.functional.cosine_similarity(*flat, dim=0)))
            before = velocity
            if decision(config, steps, curve) == step:
                leap, x = step, x - sigmas[step] * velocity
                break
            x = x + velocity * (sigmas[step + 1] - sigmas[step])
        cases.append(
            {
                "kind": "run",
                "config": config,
                "steps": steps,
                "shape": list(SHAPE),
                "noise": _numbers(noise),
                "curve": curve,
                "leap": leap,
                "result": _numbers(x),
            }
        )
    return cases


def _numbers(tensor: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in tensor.flatten().tolist()]
