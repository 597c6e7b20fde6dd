"""The lowerings of schedules, and of the nodes that change how a model is sampled."""

import re
from dataclasses import replace
from itertools import pairwise

from .lowering import Reader, lowering
from .plan import Lookups, PlanBuilder
from .sampling import MAX_STEPS
from .values import Latent, Model, Sigmas

SCHEDULERS = (
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
)
MIN_DENOISE = 0.01
MIN_SHIFT = 0.01
MAX_SHIFT = 100.0
MAX_SPLIT = 10_000
MAX_SIGMAS_TEXT = 2000
# As ComfyUI finds numbers in the text of ManualSigmas.
NUMBER = re.compile(r"[-+]?(?:\d*\.*\d+)")
LTXV_TOKENS = 4096


@lowering("BasicScheduler")
def lower_scheduler(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas]:
    """BasicScheduler."""
    return (named_sigmas(node),)


@lowering("LTXVScheduler")
def lower_ltxv_scheduler(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas]:
    """LTXVScheduler: the shift follows the size of the linked latent."""
    steps = node.integer("steps", 1, MAX_STEPS)
    schedule = {
        "name": "ltxv",
        "tokens": LTXV_TOKENS,
        "max_shift": node.number("max_shift", 0.0, MAX_SHIFT),
        "base_shift": node.number("base_shift", 0.0, MAX_SHIFT),
        "stretch": node.switch("stretch"),
        "terminal": node.number("terminal", 0.0, 0.99),
    }
    latent = node.link("latent", Latent) if "latent" in node.node.inputs else None
    least = 2 if schedule["stretch"] else 1
    if steps < least:
        node.fail("steps", "is 1, of which nothing can be stretched; set it to 2 or more, or stretch to off")
    return (Sigmas(schedule, steps, least=least, latent=latent),)


@lowering("ManualSigmas")
def lower_manual_sigmas(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas]:
    """ManualSigmas: the numbers in a text."""
    try:
        sigmas = [float(number) for number in NUMBER.findall(node.text("sigmas", MAX_SIGMAS_TEXT))]
    except ValueError:
        node.fail("sigmas", "holds a number with two points; write numbers such as 0.725")
    falls = all(after < before for before, after in pairwise(sigmas))
    if not (2 <= len(sigmas) <= MAX_STEPS + 1 and falls and sigmas[-1] >= 0 and sigmas[0] <= 1):
        node.fail(
            "sigmas", f"has to be 2 to {MAX_STEPS + 1} falling numbers from 1 to 0, for example 1, 0.7, 0"
        )
    schedule = {"name": "manual", "sigmas": sigmas}
    return (Sigmas(schedule, len(sigmas) - 1, editable=False, to_zero=sigmas[-1] == 0),)


@lowering("SplitSigmas")
def lower_split_sigmas(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas, Sigmas]:
    """SplitSigmas: the steps before one, and those from it on."""
    sigmas, step = node.link("sigmas", Sigmas), node.integer("step", 0, MAX_SPLIT)
    if sigmas.until is not None:
        node.fail("sigmas", "are split by High-Low Split already; split the schedule before that")
    return sigmas.part(0, step), sigmas.part(step, None)


@lowering("ModelSamplingSD3")
def lower_sampling_sd3(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model]:
    """ModelSamplingSD3: another shift; the network is told sigma x 1000."""
    return (_resampled(node, 1000.0, "ModelSamplingAuraFlow"),)


@lowering("ModelSamplingAuraFlow")
def lower_sampling_aura_flow(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model]:
    """ModelSamplingAuraFlow: another shift; the network is told sigma itself."""
    return (_resampled(node, 1.0, "ModelSamplingSD3"),)


def named_sigmas(node: Reader, *, drop_penultimate: bool = False) -> Sigmas:
    """The widgets scheduler, steps and denoise of KSampler and BasicScheduler, for their model."""
    geometry = node.link("model", Model).geometry
    name = node.choice("scheduler", SCHEDULERS)
    schedule = {
        "name": name,
        "shift": geometry.shift,
        "denoise": node.number("denoise", MIN_DENOISE, 1.0, 1.0),
    }
    if geometry.curve != "flow":
        schedule["curve"] = geometry.curve
    if drop_penultimate:
        schedule["drop_penultimate"] = True
    # kl_optimal spaces its steps between two of them.
    least = 2 if name == "kl_optimal" and not drop_penultimate else 1
    steps = node.integer("steps", least, MAX_STEPS)
    return Sigmas(schedule, steps, least=least)


def _resampled(node: Reader, multiplier: float, other: str) -> Model:
    model = node.link("model", Model)
    geometry = model.geometry
    if not geometry.any_multiplier and geometry.multiplier != multiplier:
        node.fail(
            "model",
            f"is {model.name}, whose network is told sigma x {geometry.multiplier:g} and would be told "
            f"sigma x {multiplier:g}, in ComfyUI, too; use {other}",
        )
    shift = node.number("shift", MIN_SHIFT, MAX_SHIFT)
    return replace(model, geometry=replace(geometry, shift=shift, curve="flow"))
