"""The sigmas of a plan's `schedule`: a named schedule, LTX-Video's, or a list; and the part of it that runs.

A part is what ComfyUI's KSamplerAdvanced and SplitSigmas leave of a schedule, so that several samplers can
share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .schedules import calculate_sigmas, ltxv


def plan_sigmas(schedule: Mapping[str, Any], steps: int | None) -> np.ndarray:
    """Falling sigmas `[n + 1]`, float32; empty where no step is left to run, as ComfyUI then does nothing.

    Args:
        schedule: the field `schedule` of a `denoise` op, as the manifest's schema describes it.
        steps: its number of steps, already looked up; None for a list of sigmas.

    Raises EngineError for steps that the schedule cannot take.
    """
    sigmas = part(
        _whole(schedule, steps),
        schedule.get("start", 0),
        schedule.get("end"),
        schedule.get("finish", False),
    )
    if "until" in schedule:
        sigmas = cut(sigmas, np.float32(schedule["until"]))
    return sigmas if len(sigmas) > 1 else np.empty(0, np.float32)


def part(sigmas: np.ndarray, start: int = 0, end: int | None = None, finish: bool = False) -> np.ndarray:
    """The steps from `start` up to `end` of a schedule, counted from 0; sigmas[start : end + 1].

    With `finish`, an end before the schedule's own becomes 0 ("return with leftover noise" is off).
    """
    if end is not None and end < len(sigmas) - 1:
        sigmas = sigmas[: end + 1].copy()
        if finish:
            sigmas[-1] = 0
    return sigmas[start:]


def cut(sigmas: np.ndarray, until: np.float32) -> np.ndarray:
    """The sigmas above `until`, and then `until`: another model goes on from there. Empty where none is."""
    above = sigmas[sigmas > until]
    return np.append(above, until) if len(above) else above


def _whole(schedule: Mapping[str, Any], steps: int | None) -> np.ndarray:
    name = schedule["name"]
    if name == "manual":
        return np.array(schedule["sigmas"], np.float32)
    assert steps is not None
    if name == "ltxv":
        fields = ("tokens", "max_shift", "base_shift", "stretch", "terminal")
        return ltxv(steps, **{field: schedule[field] for field in fields})
    return calculate_sigmas(
        name,
        steps,
        schedule["shift"],
        schedule["multiplier"],
        schedule["denoise"],
        schedule.get("curve", "flow"),
        schedule.get("drop_penultimate", False),
    )
