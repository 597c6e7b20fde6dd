"""Which stage gets which precision: measured on the component itself, from its finished float32 files.

A stage's sensitivity is the squared error of the component's output when this stage alone has fewer bits.
Such errors add up nearly as if they were independent, so the sum predicts what a mix of precisions costs, and
a run of the mix confirms it. The first and the last stage, which hold the embeddings and everything that
modulates the blocks, begin one level higher than the rest: they are small, and every block repeats their
error.
"""

import logging
import math
from collections.abc import Callable, Sequence

from .errors import ParityError
from .precision import GATES, Wanted, describe, first_choice, higher
from .precision_run import Lowered, Variants

log = logging.getLogger(__name__)

Step = Callable[[str], None]
# What is asked of the prediction grows by this many dB when a mix falls short of it.
SAFETY = 0.5
# Float32 itself is no nearer to torch than this many dB.
MOST = 200.0


def choose(variants: Variants, wanted: Wanted, step: Step) -> Lowered:
    """The smallest files with which the component reaches its target, and what they reach.

    Raises `ParityError` naming the component, its worst stage and the figure when no choice does.
    """
    measured: dict[str, list[float]] = {}

    def error(index: int, level: str) -> float:
        if level == "fp32":
            return 0.0
        if level not in measured:
            step(f"Measuring how {variants.name} bears {level}")
            measured[level] = variants.sensitivities(level)
        return measured[level][index]

    step(f"Measuring {variants.name} in {wanted.level}")
    found = variants.measure(first_choice(len(variants.stages), wanted.level))
    goal = wanted.target
    while not found.good(wanted.target):
        log.info("%s: %s, %.1f dB", variants.name, describe(found.levels), found.psnr)
        levels = found.levels
        while levels == found.levels:
            if goal > MOST or set(levels) == {"fp32"}:
                raise _failure(variants.name, found, wanted)
            levels = raise_to(_bearable(found), error, variants.bytes, goal)
            goal += SAFETY
        step(f"Measuring {variants.name} in {describe(levels)}")
        found = variants.measure(levels)
        goal += max(0.0, wanted.target - found.psnr)
    log.info("%s: %s, %.1f dB", variants.name, describe(found.levels), found.psnr)
    return found


def raise_to(
    levels: Sequence[str],
    error: Callable[[int, str], float],
    size: Callable[[int, str], int],
    goal: float,
) -> tuple[str, ...]:
    """Raise stages, the one that gains most per byte first, until the predicted PSNR reaches `goal` dB.

    Args:
        levels: of every stage.
        error: squared error over the squared peak that a stage at a level causes in the whole.
        size: bytes of a stage's weights at a level.
        goal: in dB.
    """
    now = list(levels)

    def gain(index: int) -> float:
        level, above = now[index], higher(now[index])
        return (error(index, level) - error(index, above)) / max(1, size(index, above) - size(index, level))

    while decibels(sum(error(index, level) for index, level in enumerate(now))) < goal:
        low = [index for index, level in enumerate(now) if level != "fp32"]
        best = max(low, key=gain)
        now[best] = higher(now[best])
    return tuple(now)


def decibels(error: float) -> float:
    """PSNR of a squared error over the squared peak."""
    return math.inf if error <= 0 else -10 * math.log10(error)


def _bearable(found: Lowered) -> tuple[str, ...]:
    """The levels with every stage raised that misses its own gate already by itself."""
    return tuple(
        higher(level) if figure < GATES[level] else level
        for level, figure in zip(found.levels, found.stages, strict=True)
    )


def _failure(name: str, found: Lowered, wanted: Wanted) -> ParityError:
    worst = min(range(len(found.stages)), key=found.stages.__getitem__)
    return ParityError(
        f"The {name} cannot be stored in fewer bits: {found.psnr:.1f} dB where {wanted.target:.0f} dB are "
        f"needed, its worst stage is {found.names[worst]} with {found.stages[worst]:.1f} dB; choose fp32."
    )
