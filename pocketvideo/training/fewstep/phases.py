"""A training in phases: each goes on with the same networks, with a learning rate and draws of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from ..loop import cosine_with_warmup
from .drawing import DrawConfig


@dataclass(frozen=True)
class Phase:
    """What changes from a step on.

    Args:
        at: its first step.
        peak: its highest learning rate, in parts of the recipe's; warm-up and cosine begin anew.
        weights: of objectives' terms, where they change.
        draw: entries of the recipe's section draw, where they change.
    """

    at: int
    peak: float = 1.0
    weights: dict[str, float] = field(default_factory=dict)
    draw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Phases:
    """The phases of a run of `steps`, after the one that the recipe itself describes."""

    steps: int
    later: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        # Two numbers that agree are a phase without a step.
        if self.later and any(first >= second for first, second in pairwise(self._bounds)):
            raise ValueError(
                "The phases of a recipe begin one after the other, after step 0 and before the last one, "
                f"{self.steps}; these begin at {', '.join(str(phase.at) for phase in self.later)}: correct "
                "train.phases."
            )

    @property
    def _bounds(self) -> list[int]:
        return [0, *(phase.at for phase in self.later), self.steps]

    def at(self, step: int) -> Phase:
        """The phase that a step is in."""
        return next((p for p in reversed(self.later) if step >= p.at), Phase(0))

    def weights(self, step: int, weights: dict[str, float]) -> dict[str, float]:
        """The terms' weights at a step."""
        return {**weights, **self.at(step).weights}

    def draw(self, step: int, draw: DrawConfig) -> DrawConfig:
        """What a step draws."""
        changes: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in self.at(step).draw.items()
        }
        now = replace(draw, **changes)
        return now if step >= now.fresh_from else replace(now, fresh=0.0)

    def rate(self, begin: int, updates: int, warmup: int, final_lr: float) -> Callable[[int], float]:
        """Learning rate over a network's updates: it trains from step `begin` on, `updates` times a step."""
        peaks = [1.0, *(phase.peak for phase in self.later)]
        parts = [
            (max(0, first - begin) * updates, max(1, second - max(begin, first)) * updates, peak)
            for (first, second), peak in zip(pairwise(self._bounds), peaks, strict=True)
            if second > begin
        ] or [(0, 1, 1.0)]

        def rate(count: int) -> float:
            start, length, peak = next(part for part in reversed(parts) if count >= part[0])
            return peak * cosine_with_warmup(length, warmup, final_lr)(count - start)

        return rate
