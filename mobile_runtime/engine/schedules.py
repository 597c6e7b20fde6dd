"""Sigma schedules as ComfyUI's `calculate_sigmas` gives them for its two flows, in numpy.

A rectified flow mixes x_t = (1 - sigma) x0 + sigma noise; sigma falls from 1 to 0. Arithmetic is in float32
where ComfyUI's is, because `simple` and its kin read entries of a float32 table. One function per schedule,
all with the signature (table, steps) -> sigmas `[n + 1]`, usually n = steps. How the schedule of a plan is
put together from these stands in `scheduling.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import beta
from .errors import EngineError

# Entries of the table that ComfyUI makes for ModelSamplingDiscreteFlow and ModelSamplingFlux.
TABLE_SIZE = {"flow": 1000, "flux": 10_000}
MAX_TOTAL_STEPS = 100_000


@dataclass(frozen=True)
class SigmaTable:
    """ComfyUI's model_sampling of a flow: rising `sigmas` `[n]` float32, and how timesteps map.

    `curve` says how `shift` bends time t: "flow" is ModelSamplingDiscreteFlow, shift t / (1 + (shift - 1) t);
    "flux" is ModelSamplingFlux, e^shift / (e^shift + 1/t - 1), which knows no multiplier.
    """

    shift: float
    multiplier: float
    sigmas: np.ndarray
    curve: str = "flow"

    @classmethod
    def make(cls, shift: float, multiplier: float = 1.0, curve: str = "flow") -> SigmaTable:
        """The table of `set_parameters(shift=shift, multiplier=multiplier)`. EngineError: unknown curve."""
        if curve not in TABLE_SIZE:
            raise EngineError(f"The curve {curve!r} of a schedule is not known; export the bundle again.")
        size = TABLE_SIZE[curve]
        scale = 1.0 if curve == "flux" else multiplier
        steps = np.arange(1, size + 1, dtype=np.float32) / np.float32(size) * np.float32(scale)
        bare = cls(shift, scale, steps, curve)
        return cls(shift, scale, bare.sigma(steps), curve)

    def timestep(self, sigma: np.ndarray) -> np.ndarray:
        """What the network is told for a sigma: sigma x multiplier."""
        return sigma * np.float32(self.multiplier)

    def sigma(self, timestep: np.ndarray) -> np.ndarray:
        """The sigma at a timestep, shifted."""
        if self.curve == "flux":
            return _exponentially_shifted(timestep, self.shift)
        return _shifted(timestep / np.float32(self.multiplier), self.shift)


def calculate_sigmas(
    name: str,
    steps: int,
    shift: float,
    multiplier: float = 1.0,
    denoise: float = 1.0,
    curve: str = "flow",
    drop_penultimate: bool = False,
) -> np.ndarray:
    """The sigmas of a schedule, float32, falling to 0; for denoise < 1 the last steps + 1 of a longer one.

    Args:
        name: a key of SCHEDULES, which are ComfyUI's scheduler names.
        steps: at least 1.
        shift: of the flow's timestep, 1 for none.
        multiplier: of the timestep that the network is told.
        denoise: 0 to 1; at 0 the result is empty, as in ComfyUI.
        curve: "flow" or "flux", how the model bends time.
        drop_penultimate: one step more is planned and the last sigma before 0 left out, as ComfyUI's KSampler
            does for samplers that fare badly at small sigmas (dpm_2, uni_pc).

    Raises EngineError for an unknown name or steps that the schedule cannot take.
    """
    schedule = SCHEDULES.get(name)
    if schedule is None:
        raise EngineError(f"The schedule {name!r} is not known; use one of {', '.join(SCHEDULES)}.")
    if steps < 1:
        raise EngineError(f"A schedule of {steps} steps is not possible; use at least 1.")
    if denoise <= 0.0:
        return np.empty(0, np.float32)
    table = SigmaTable.make(shift, multiplier, curve)
    total = steps if denoise > 0.9999 else int(steps / denoise)
    if total > MAX_TOTAL_STEPS:
        raise EngineError(f"denoise {denoise} needs a schedule of {total} steps; use a larger one.")
    sigmas = schedule(table, total + drop_penultimate)
    if drop_penultimate:
        sigmas = np.concatenate([sigmas[:-2], sigmas[-1:]])
    return sigmas if denoise > 0.9999 else sigmas[-(steps + 1) :]


def simple(table: SigmaTable, steps: int) -> np.ndarray:
    """Evenly spaced entries of the table, from its end."""
    stride = len(table.sigmas) / steps
    return _with_zero([table.sigmas[-(1 + int(step * stride))] for step in range(steps)])


def ddim_uniform(table: SigmaTable, steps: int) -> np.ndarray:
    """Every n-th entry of the table from its second on; may hold more sigmas than asked for."""
    sigmas = [np.float32(0)]
    if math.isclose(float(table.sigmas[1]), 0, abs_tol=0.00001):
        steps += 1
        sigmas = []
    stride = max(len(table.sigmas) // steps, 1)
    sigmas += list(table.sigmas[1::stride])
    return np.array(sigmas[::-1], np.float32)


def normal(table: SigmaTable, steps: int) -> np.ndarray:
    """Evenly spaced timesteps from the table's last to its first."""
    start, end = table.timestep(table.sigmas[-1]), table.timestep(table.sigmas[0])
    if math.isclose(float(table.sigma(end)), 0, abs_tol=0.00001):
        return table.sigma(_linspace(start, end, steps + 1))
    return _with_zero(table.sigma(_linspace(start, end, steps)))


def sgm_uniform(table: SigmaTable, steps: int) -> np.ndarray:
    """As `normal`, with one more timestep, the last of which is dropped."""
    start, end = table.timestep(table.sigmas[-1]), table.timestep(table.sigmas[0])
    return _with_zero(table.sigma(_linspace(start, end, steps + 1)[:-1]))


def beta_schedule(table: SigmaTable, steps: int, alpha: float = 0.6, b: float = 0.6) -> np.ndarray:
    """Timesteps at quantiles of a beta distribution (arXiv:2407.12173); repeated timesteps are dropped."""
    quantiles = beta.quantile(1 - np.linspace(0, 1, steps, endpoint=False), alpha, b)
    timesteps = np.rint(quantiles * (len(table.sigmas) - 1)).astype(int)
    kept = [step for step, before in zip(timesteps, [-1, *timesteps[:-1]], strict=True) if step != before]
    return _with_zero(table.sigmas[kept])


def linear_quadratic(table: SigmaTable, steps: int, threshold: float = 0.025) -> np.ndarray:
    """Mochi's schedule: noise falls linearly over the first half of the steps, then quadratically."""
    if steps == 1:
        return np.array([1.0, 0.0], np.float32) * table.sigmas[-1]
    linear_steps = steps // 2
    rise = linear_steps - threshold * steps
    quadratic_steps = steps - linear_steps
    quadratic = rise / (linear_steps * quadratic_steps**2)
    linear = threshold / linear_steps - 2 * rise / (quadratic_steps**2)
    constant = quadratic * (linear_steps**2)
    gone = [step * threshold / linear_steps for step in range(linear_steps)]
    gone += [quadratic * (step**2) + linear * step + constant for step in range(linear_steps, steps)]
    return np.array([1.0 - value for value in [*gone, 1.0]], np.float32) * table.sigmas[-1]


def kl_optimal(table: SigmaTable, steps: int) -> np.ndarray:
    """Steps of equal size in arctan(sigma), from "Align Your Steps" (arXiv:2404.14507), section 3.1."""
    if steps < 2:
        raise EngineError("The schedule 'kl_optimal' needs at least 2 steps; use more or another schedule.")
    position = np.arange(steps, dtype=np.float32) / np.float32(steps - 1)
    low, high = (np.float32(math.atan(float(value))) for value in (table.sigmas[0], table.sigmas[-1]))
    return _with_zero(np.tan(position * low + (1 - position) * high))


def karras(table: SigmaTable, steps: int, rho: float = 7.0) -> np.ndarray:
    """Karras et al. (2022), equation 5."""
    ramp = _linspace(0, 1, steps)
    low, high = (float(value) ** (1 / rho) for value in (table.sigmas[0], table.sigmas[-1]))
    return _with_zero((np.float32(high) + ramp * np.float32(low - high)) ** np.float32(rho))


def exponential(table: SigmaTable, steps: int) -> np.ndarray:
    """Steps of equal size in log sigma."""
    return _with_zero(
        np.exp(_linspace(math.log(float(table.sigmas[-1])), math.log(float(table.sigmas[0])), steps))
    )


def ltxv(
    steps: int, tokens: int, max_shift: float, base_shift: float, stretch: bool, terminal: float
) -> np.ndarray:
    """LTXVScheduler: the shift grows with the number of latent cells, and sigmas may be stretched.

    `tokens` are the cells F x H x W of the latent; the shift is `base_shift` at 1024 of them and `max_shift`
    at 4096. With `stretch` the last sigma before 0 is `terminal`. Raises EngineError for one stretched step.
    """
    if stretch and steps < 2:
        raise EngineError("LTXVScheduler needs at least 2 steps to stretch; use more or switch stretch off.")
    slope = (max_shift - base_shift) / (4096 - 1024)
    shift = tokens * slope + base_shift - slope * 1024
    sigmas = _exponentially_shifted(_linspace(1.0, 0.0, steps + 1)[:-1], shift)
    if stretch:
        gone = 1 - sigmas
        sigmas = 1 - gone / (gone[-1] / np.float32(1.0 - terminal))
    return _with_zero(sigmas)


SCHEDULES: dict[str, Callable[[SigmaTable, int], np.ndarray]] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "ddim_uniform": ddim_uniform,
    "beta": beta_schedule,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
}


def _shifted(t: np.ndarray, shift: float) -> np.ndarray:
    """ComfyUI's `time_snr_shift` in float32."""
    if shift == 1.0:
        return t
    return np.float32(shift) * t / (np.float32(1) + np.float32(shift - 1) * t)


def _exponentially_shifted(t: np.ndarray, shift: float) -> np.ndarray:
    """ComfyUI's `flux_time_shift` in float32; torch divides a number by a tensor by way of its reciprocal."""
    grown = np.float32(math.exp(shift))
    return grown * (1 / (grown + (1 / t - 1)))


def _linspace(start: float | np.ndarray, end: float | np.ndarray, steps: int) -> np.ndarray:
    """torch.linspace in float32, which counts the second half from the end."""
    first, last = np.float32(start), np.float32(end)
    if steps == 1:
        return np.array([first], np.float32)
    step = (last - first) / np.float32(steps - 1)
    index = np.arange(steps, dtype=np.float32)
    return np.where(index < steps // 2, first + step * index, last - step * (np.float32(steps - 1) - index))


def _with_zero(sigmas: object) -> np.ndarray:
    return np.append(np.asarray(sigmas, np.float32), np.float32(0))
