"""The lowerings of Few-Step Schedule, Few-Step Sampler and High-Low Split."""

from dataclasses import replace

from ..few_step import CHOICES, FROM_MODEL, KNOWN, MAX_STEPS, ODE, RENOISE, Card, NotAStudent, low_part
from .lowering import Reader, lowering
from .plan import Geometry, Lookups, PlanBuilder
from .values import Model, Sampler, Sigmas


@lowering("PocketVideoFewStepSchedule")
def lower_schedule(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas]:
    """Few-Step Schedule: a list of sigmas, whoever names it."""
    name = node.choice("student", (FROM_MODEL, *KNOWN))
    if name == FROM_MODEL:
        card, steps = _card(node), node.integer("student.steps", 1, MAX_STEPS)
        try:
            return (_listed(card.sigmas(steps)),)
        except NotAStudent as error:
            node.fail("student.steps", f"cannot be used: {str(error).rstrip('.')}")
    known = KNOWN[name]
    if known.sigmas:
        return (_listed(known.sigmas),)
    geometry = node.link("model", Model).geometry
    if geometry.curve != "flow":
        node.fail("student", f"is {name}, whose timesteps this model maps in its own way; use ManualSigmas")
    return (_listed((*(_shifted(t / 1000, geometry) for t in known.timesteps), 0.0)),)


@lowering("PocketVideoFewStepSampler")
def lower_sampler(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sampler]:
    """Few-Step Sampler: fresh noise of the same seed as on the desk, or Euler."""
    choice = node.choice("sampling", (FROM_MODEL, *CHOICES))
    sampling = _card(node).sampling if choice == FROM_MODEL else CHOICES[choice]
    return (Sampler("euler" if sampling == ODE else RENOISE),)


@lowering("PocketVideoHighLowSplit")
def lower_split(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas, Sigmas]:
    """High-Low Split: the first schedule ends where the list of the second one goes on."""
    high, low = node.link("high", Sigmas), node.link("low", Sigmas)
    boundary = node.number("boundary", 0.01, 1.0)
    if high.until is not None or low.until is not None:
        node.fail("high", "is split already; link whole schedules to it")
    if low.schedule["name"] != "manual":
        node.fail(
            "low", "is no list of sigmas, so where it takes over is not known; link a Few-Step Schedule"
        )
    end = None if low.end is None else low.end + 1
    try:
        rest = low_part(tuple(low.schedule["sigmas"][low.start : end]), boundary)
    except NotAStudent as error:
        node.fail("boundary", f"is too low: {str(error).rstrip('.')}")
    if rest[0] >= 1.0:
        node.fail("boundary", "leaves no step to the high schedule; lower it")
    schedule = {"name": "manual", "sigmas": list(rest)}
    after = Sigmas(schedule, len(rest) - 1, editable=False, to_zero=rest[-1] == 0)
    return replace(high, until=rest[0]), after


def _card(node: Reader) -> Card:
    card = node.link("model", Model).geometry.few_step
    if card is None:
        node.fail("model", "is no few-step student with a card; choose what it is from the list instead")
    return card


def _listed(sigmas: tuple[float, ...]) -> Sigmas:
    schedule = {"name": "manual", "sigmas": list(sigmas)}
    return Sigmas(schedule, len(sigmas) - 1, editable=False)


def _shifted(time: float, geometry: Geometry) -> float:
    return geometry.shift * time / (1 + (geometry.shift - 1) * time)
