"""The lowerings of Leap and Leap Report: a device leaps as the desk does, by the same controller."""

from .lowering import Reader, lowering
from .plan import Lookups, PlanBuilder
from .values import Latent, Sampler

MODES = ("adaptive", "fixed")
MAX_STEP = 10_000
MAX_PATIENCE = 100


@lowering("PocketVideoLeap")
def lower_leap(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sampler]:
    """Leap."""
    sampler = node.link("sampler", Sampler)
    if sampler.leap is not None:
        node.fail("sampler", "leaps already; link the sampler before the first Leap to it")
    if node.choice("mode", MODES) == "fixed":
        return (Sampler(sampler.name, {"mode": "fixed", "step": node.integer("mode.step", 0, MAX_STEP)}),)
    settings = {
        "mode": "adaptive",
        "minimum": node.number("mode.minimum", 0.0, 1.0),
        "tolerance": node.number("mode.tolerance", 0.0, 1.0),
        "patience": node.integer("mode.patience", 1, MAX_PATIENCE),
    }
    return (Sampler(sampler.name, settings),)


@lowering("PocketVideoLeapReport")
def lower_leap_report(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """Leap Report: the latent passes through; picture and numbers are the desk's."""
    return (node.link("samples", Latent),)
