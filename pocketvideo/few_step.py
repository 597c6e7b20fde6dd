"""What few-step students are sampled with: the card of our own, and lists of known public ones.

Standard library alone: a workflow is compiled, and ComfyUI lists its nodes, without torch.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

CARD_KEY = "few_step"
RENOISE, ODE = "renoise", "ode"
# What the nodes call them, and where they leave it to the model's card.
FROM_MODEL = "as the model says"
CHOICES = {"fresh noise": RENOISE, "deterministic": ODE}
MAX_STEPS = 200


class NotAStudent(ValueError):
    """A model that does not say how it is sampled in few steps; the message says what to do."""


@dataclass(frozen=True)
class Card:
    """How a student is sampled: sigmas by number of steps, and `renoise` or `ode` between them."""

    schedules: tuple[tuple[float, ...], ...]
    sampling: str

    @property
    def steps(self) -> tuple[int, ...]:
        """The numbers of steps that it was trained for, rising."""
        return tuple(len(sigmas) - 1 for sigmas in self.schedules)

    def sigmas(self, steps: int) -> tuple[float, ...]:
        """The schedule of that many steps; raises NotAStudent naming those that there are."""
        if steps not in self.steps:
            raise NotAStudent(
                f"This student was trained for {_listed(self.steps)} steps, not {steps}: choose one of them."
            )
        return self.schedules[self.steps.index(steps)]


@dataclass(frozen=True)
class Known:
    """A public student: its sigmas, or timesteps of 1000 that its model turns into sigmas."""

    sigmas: tuple[float, ...] = ()
    timesteps: tuple[int, ...] = ()
    sampling: str = RENOISE


# Shift 5 of even times 1, 3/4, 1/2, 1/4 (Self-Forcing's config, and lightx2v's step-distilled Wan).
_SHIFT_5 = (1.0, 0.9375, 0.8333333, 0.625, 0.0)
_LTX_REFINE = (0.909375, 0.725, 0.421875, 0.0)
KNOWN: dict[str, Known] = {
    "LTX-Video distilled (8 steps)": Known((1.0, 0.99375, 0.9875, 0.98125, 0.975, *_LTX_REFINE), (), ODE),
    "LTX-Video distilled, second stage (3 steps)": Known(_LTX_REFINE, (), ODE),
    "DMD2 (4 steps)": Known(timesteps=(999, 749, 499, 249)),
    "CausVid (3 steps)": Known((1.0, 0.757, 0.522, 0.0)),
    "Self-Forcing (4 steps)": Known(_SHIFT_5),
    "lightx2v Wan (4 steps)": Known(_SHIFT_5, (), ODE),
}


def read_card(config: Mapping[str, Any]) -> Card | None:
    """The card in a model file's config; None where it has none. Raises NotAStudent for a broken one."""
    raw = config.get(CARD_KEY)
    if raw is None:
        return None
    try:
        schedules = sorted((tuple(map(float, sigmas)) for sigmas in raw["sigmas"].values()), key=len)
        card = Card(tuple(schedules), raw["sampling"])
        falls = all(a > b for sigmas in schedules for a, b in pairwise(sigmas))
        ends = all(2 <= len(s) <= MAX_STEPS + 1 and s[0] <= 1 and s[-1] == 0 for s in schedules)
        if not (schedules and falls and ends and card.sampling in (RENOISE, ODE)):
            raise ValueError("its schedules do not fall from 1 to 0, or its sampling is unknown")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAStudent(
            f"The model's card of few-step sampling is damaged ({error}); fetch the file again."
        ) from error
    return card


def split_at(
    high: tuple[float, ...], low: tuple[float, ...], boundary: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Two schedules that meet: `high` down to the first sigma of `low` at or below `boundary`, then `low`.

    The second model begins at a sigma that it knows. Raises NotAStudent where nothing is left for it.
    """
    rest = low_part(low, boundary)
    first = tuple(sigma for sigma in map(single, high) if sigma > rest[0])
    if not first:
        raise NotAStudent(
            f"The low schedule takes over at {rest[0]:g}, above every step of the high one: lower the "
            "boundary."
        )
    return (*first, rest[0]), rest


def low_part(low: tuple[float, ...], boundary: float) -> tuple[float, ...]:
    """The second of the two schedules of `split_at`, which the first one ends at."""
    rounded = tuple(map(single, low))
    start = next((i for i, sigma in enumerate(rounded) if sigma <= single(boundary)), len(low))
    if start >= len(low) - 1:
        raise NotAStudent(
            f"No step of the low schedule begins at or below {boundary:g}: raise the boundary to "
            f"{low[-2]:g} or more."
        )
    return rounded[start:]


def single(value: float) -> float:
    """The float32 nearest to a number: what desk and device compare sigmas in."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _listed(numbers: tuple[int, ...]) -> str:
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
