"""What precision can be asked for, per component, and how near to torch each has to stay.

`fp32`, `fp16`, `int8` and `int4` say how most weights of a component are stored; activations are float32
always. `auto` begins at 4 bits and raises what hurts most until its target is met. How weights are packed
stands in `precision_weights.py`, which stage gets what in `precision_choice.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import ExportError

LEVELS = ("int4", "int8", "fp16", "fp32")
AUTO = "auto"
NUMBER = re.compile(r"_\d+$")
COMPONENTS = ("text_encoder", "denoiser", "vae_encoder", "vae_decoder")
# Least PSNR in dB against torch on seeded inputs, of every stage and of the whole.
GATES = {"fp32": 60.0, "fp16": 35.0, "int8": 35.0, "int4": 25.0}
AUTO_TARGET = 40.0
# How much less than at the desk is asked of a device, whose processor rounds in another order.
DEVICE_MARGIN = 1.0


@dataclass(frozen=True)
class Wanted:
    """The precision that a component's stages begin at, and the PSNR in dB that the whole has to reach."""

    level: str
    target: float

    @property
    def device_target(self) -> float:
        """What the bundle's self-test asks of a device."""
        return self.target if self.level == "fp32" else self.target - DEVICE_MARGIN


FULL = Wanted("fp32", GATES["fp32"])


@dataclass(frozen=True)
class Precision:
    """What is wanted of each component; one that is not named keeps `fallback`."""

    fallback: Wanted = FULL
    named: tuple[tuple[str, Wanted], ...] = ()

    def of(self, component: str) -> Wanted:
        """What is wanted of this component; a second denoiser is stored as the first."""
        return dict(self.named).get(NUMBER.sub("", component), self.fallback)


FLOAT32 = Precision()


def parse_precision(text: str) -> Precision:
    """`int8`, or `denoiser=auto:42,vae_decoder=fp16`; a target in dB may follow every level.

    Raises `ExportError` for a component, a level or a target that does not exist.
    """
    fallback: Wanted | None = None
    named: dict[str, Wanted] = {}
    for part in text.split(","):
        component, equals, value = part.strip().rpartition("=")
        component = component.strip()
        wanted = _wanted(value.strip())
        if not equals and fallback is None:
            fallback = wanted
        elif component in COMPONENTS and component not in named:
            named[component] = wanted
        else:
            raise ExportError(
                f"The precision {part.strip()!r} names no component, or one that is named twice; write "
                f"one of {', '.join(COMPONENTS)}, then = and a level, or one level for all."
            )
    return Precision(fallback or FULL, tuple(sorted(named.items())))


def describe(levels: Sequence[str]) -> str:
    """How many stages have which level: `8 x int4, 2 x int8`."""
    return ", ".join(f"{levels.count(level)} x {level}" for level in LEVELS if level in levels)


def higher(level: str) -> str:
    """The next level with more bits; fp32 stays."""
    return LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]


def first_choice(count: int, level: str) -> tuple[str, ...]:
    """What so many stages begin at: all at `level`, the first and the last one higher.

    One or two stages have no blocks between; there the first and the last weight are kept higher instead
    (`precision_run.Variants`).
    """
    if count < 3 or level in ("fp16", "fp32"):
        return (level,) * count
    return (higher(level), *(level,) * (count - 2), higher(level))


def _wanted(text: str) -> Wanted:
    level, colon, figure = text.partition(":")
    if level not in (*LEVELS, AUTO):
        raise ExportError(f"There is no precision {level!r}; choose one of {', '.join((*LEVELS, AUTO))}.")
    least = AUTO_TARGET if level == AUTO else GATES[level]
    start = LEVELS[0] if level == AUTO else level
    if not colon:
        return Wanted(start, least)
    if level == FULL.level:
        raise ExportError(f"The precision fp32 takes no target; leave out {colon}{figure}.")
    try:
        target = float(figure)
    except ValueError:
        target = float("nan")
    if not GATES[start] <= target <= 200:
        raise ExportError(
            f"The target {figure!r} of the precision {level} is no figure from {GATES[start]:.0f} to 200 dB; "
            f"write for example {level}:{least:.0f}."
        )
    return Wanted(start, target)
