"""What a run with a leap did: the numbers, their JSON form and a sentence about them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ...mobile_runtime.engine.leap import LeapConfig


@dataclass
class LeapRecord:
    """What one run did, step by step; `as_dict` is its JSON form.

    `total` is the number of steps of the schedule, and `sigmas` its noise levels `[total + 1]`.
    `evaluations` counts calls of the model (one covers the whole batch and all of guidance), and
    `evaluations_saved` those that the sampler alone would have made besides. `leap_steps` has an entry per
    video of the batch: the step from which it leapt, counted from 0, or None; `leap_sigmas` its noise level.
    `similarities` has a list per video: the cosine similarity of its drift to the previous step's, at the
    steps of `measured`. `paths` is empty for a model that was trained to have straight paths, and else says
    what it predicts: a leap is then an approximation. `kept_by` is what kept the run from looking on.
    """

    config: LeapConfig
    paths: str = ""
    total: int = 0
    sigmas: list[float] = field(default_factory=list)
    evaluations: int = 0
    evaluations_saved: int = 0
    leap_steps: list[int | None] = field(default_factory=list)
    leap_sigmas: list[float | None] = field(default_factory=list)
    measured: list[int] = field(default_factory=list)
    similarities: list[list[float]] = field(default_factory=list)
    kept_by: str = ""
    finished: bool = False

    @property
    def left_early(self) -> bool:
        """True when every video leapt, so that evaluations were saved."""
        return bool(self.leap_steps) and all(step is not None for step in self.leap_steps)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: numbers that are not finite become null."""
        return {
            "config": self.config.as_dict(),
            "approximate": bool(self.paths),
            "model_paths": self.paths or "straight",
            "steps": self.total,
            "sigmas": self.sigmas,
            "evaluations": self.evaluations,
            "evaluations_saved": self.evaluations_saved,
            "leap_steps": self.leap_steps,
            "leap_sigmas": self.leap_sigmas,
            "measured_steps": self.measured,
            "similarities": [
                [value if math.isfinite(value) else None for value in row] for row in self.similarities
            ],
            "finished": self.finished,
            "summary": self.sentence(),
        }

    def sentence(self) -> str:
        """What happened, in words for the person who runs it."""
        steps = [step for step in self.leap_steps if step is not None]
        if not self.finished:
            return f"The run was stopped after {self.evaluations} evaluations."
        if not steps:
            return f"Did not leap because {self._reason()}."
        if self.left_early:
            last = max(steps)
            sigma = max(self.leap_sigmas[i] or 0.0 for i, step in enumerate(self.leap_steps) if step == last)
            planned = self.evaluations + self.evaluations_saved
            text = (
                f"Leapt at step {last} of {self.total} (sigma {sigma:.2f}):"
                f" {self.evaluations_saved} of {planned} evaluations saved"
            )
        else:
            text = (
                f"{len(steps)} of {len(self.leap_steps)} videos of the batch leapt and the others went on to"
                " the end: no evaluation saved"
            )
        if self.paths:
            text += f"; approximate: this model's paths are not straight ({self.paths})"
        return text + "."

    def _reason(self) -> str:
        config, last = self.config, self.total - 1
        if self.kept_by:
            return self.kept_by
        if self.total < 2:
            return "the schedule has fewer than 2 steps, which leaves nothing to save"
        if not self.leap_steps:
            return "the sampler reported no step"
        if config.mode == "fixed":
            if config.step >= last:
                return f"step {config.step} is not before the last of {self.total} steps, counted from 0"
            return "the model's prediction at that step is not a finite number"
        if not all(math.isfinite(value) for row in self.similarities for value in row):
            return "the model's predictions are not finite numbers"
        if len(self.measured) <= config.patience:
            return f"{self.total} steps are too few to see that the drift stays straight"
        return "the drift was still turning, or no step was left after it straightened"
