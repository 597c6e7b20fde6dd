"""When to leap: On-device Sora's Linear Proportional Leap (arXiv:2502.04363, section 4), the decision alone.

One controller for the desk (torch) and for a device (numpy), so that both leap at the same step. Standard
library only. It is told one number per step, the cosine similarity of this step's drift to the previous
step's, where the drift is d = (x - denoised) / sigma over the whole latent of one video, after guidance. Once
the drift has stopped turning, the path is a straight line, and the denoised prediction is where it ends.

Two things differ from the paper's code (its `rf/__init__.py`), on purpose. The best similarity is tracked
from the first measurement: the paper's code begins to look at `minimum`, where the first measurement always
counts as better than 0, so that it never leaps before `minimum` + `patience` and nearly always exactly there.
And nothing is kept from one video to the next: a controller is made for one video and thrown away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

MAX_STEP = 10_000
# ceil(0.55 * 20) is 12 in floating point.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class LeapConfig:
    """How to decide.

    `adaptive`: leap once the similarity has not risen by more than `tolerance` above its best for `patience`
    measurements, and not before `minimum` (0 to 1) of the steps. `fixed`: leap at step `step`, counted from
    0. Raises ValueError for a value out of bounds.
    """

    mode: Literal["adaptive", "fixed"] = "adaptive"
    minimum: float = 0.5
    tolerance: float = 0.001
    patience: int = 3
    step: int = 15

    def __post_init__(self) -> None:
        """Check the values of the chosen mode."""
        if self.mode not in ("adaptive", "fixed"):
            raise ValueError(f"Leap's mode is {self.mode!r}: set it to adaptive or fixed.")
        if self.mode == "fixed":
            _check_whole("step", self.step, 0)
            return
        _check("minimum", self.minimum, 1.0)
        _check("tolerance", self.tolerance, 2.0)
        _check_whole("patience", self.patience, 1)

    def as_dict(self) -> dict[str, Any]:
        """The mode and its own settings, as a bundle's plan and a report hold them."""
        if self.mode == "fixed":
            return {"mode": "fixed", "step": self.step}
        return {
            "mode": "adaptive",
            "minimum": self.minimum,
            "tolerance": self.tolerance,
            "patience": self.patience,
        }


def _check(name: str, value: float, most: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 <= value <= most):
        raise ValueError(f"Leap's {name} is {value!r}: set it to a number from 0 to {most:g}.")


def _check_whole(name: str, value: int, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole and least <= value <= MAX_STEP):
        raise ValueError(f"Leap's {name} is {value!r}: set it to a whole number from {least} to {MAX_STEP}.")


class LeapController:
    """Decides for one video of `total` steps; make a new one for the next video."""

    def __init__(self, config: LeapConfig, total: int) -> None:
        """`total` is the number of steps of the whole schedule, which is the number of its sigmas less 1."""
        self._config = config
        self._last = total - 1
        self._earliest = math.ceil(config.minimum * total - _ROUNDING)
        self._best: float | None = None
        self._patience = config.patience

    def observe(self, step: int, similarity: float | None) -> bool:
        """True to leap now, from this step's denoised prediction.

        Args:
            step: index of this step in the schedule, from 0.
            similarity: cosine similarity of its drift to the previous step's; None where there is none.

        A leap at the last step would save nothing, and one from numbers that are not finite would spread
        them: both are never taken.
        """
        if similarity is not None and not math.isfinite(similarity):
            return False
        if self._config.mode == "fixed":
            return step == self._config.step and step < self._last
        if similarity is None:
            return False
        if self._best is None or similarity > self._best + self._config.tolerance:
            self._best = similarity
            self._patience = self._config.patience
        else:
            self._patience = max(0, self._patience - 1)
        return self._patience == 0 and self._earliest <= step < self._last
