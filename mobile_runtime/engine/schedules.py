"""Sigma schedules as ComfyUI's `calculate_sigmas` gives them for `ModelSamplingDiscreteFlow`, in numpy.

A rectified flow mixes x_t = (1 - sigma) x0 + sigma noise; sigma falls from 1 to 0. Arithmetic is in float32
where ComfyUI's is, because `simple` and its kin read entries of a float32 table. One function per schedule,
all with the signature (table, steps) -> sigmas `[n + 1]`, usually n = steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import beta
from .errors import EngineError

TABLE_SIZE = 1000
MAX_TOTAL_STEPS = 100_000


@dataclass(frozen=True)
class SigmaTable:
    """ComfyUI's ModelSamplingDiscreteFlow: rising `sigmas` `[1000]` float32, and how timesteps map."""

    shift: float
    multiplier: float
    sigmas: np.ndarray

    @classmethod
    def make(cls, shift: float, multiplier: float = 1.0) -> SigmaTable:
        """The table of `set_parameters(shift=shift, multiplier=multiplier)`."""
        steps = (
            np.arange(1, TABLE_SIZE + 1, dtype=np.float32) / np.float32(TABLE_SIZE) * np.float32(multiplier)
        )
        return cls(shift, multiplier, _shifted(steps / np.float32(multiplier), shift))

    def timestep(self, sigma: np.ndarray) -> np.ndarray:
        """What the network is told for a sigma: sigma x multiplier."""
        return sigma * np.float32(self.multiplier)

    def sigma(self, timestep: np.ndarray) -> np.ndarray:
        """The sigma at a timestep, shifted."""
        return _shifted(timestep / np.float32(self.multiplier), self.shift)


def calculate_sigmas(
    name: str, steps: int, shift: float, multiplier: float = 1.0, denoise: float = 1.0
) -> np.ndarray:
    """The sigmas of a schedule, float32, falling to 0; for denoise < 1 the last steps + 1 of a longer one.

    Args:
        name: a key of SCHEDULES, which are ComfyUI's scheduler names.
        steps: at least 1.
        shift: of the flow's timestep, 1 for none.
        multiplier: of the timestep that the network is told.
        denoise: 0 to 1; at 0 the result is empty, as in ComfyUI.

    Raises EngineError for an unknown name or steps that the schedule cannot take.
    """
    schedule = SCHEDULES.get(name)
    if schedule is None:
        raise EngineError(f"The schedule {name!r} is not known; use one of {', '.join(SCHEDULES)}.")
    if steps < 1:
        raise EngineError(f"A schedule of {steps} steps is not possible; use at least 1.")
    table = SigmaTable.make(shift, multiplier)
    if denoise > 0.9999:
        return schedule(table, steps)
    if denoise <= 0.0:
        return np.empty(0, np.float32)
    total = int(steps / denoise)
    if total > MAX_TOTAL_STEPS:
        raise EngineError(f"denoise {denoise} needs a schedule of {total} steps; use a larger one.")
    return schedule(table, total)[-(steps + 1) :]


def simple(table: SigmaTable, steps: int) -> np.ndarray:
    """Evenly spaced entries of the table, from its end."""
    stride = TABLE_SIZE / steps
    return _with_zero([table.sigmas[-(1 + int(step * stride))] for step in range(steps)])


def ddim_uniform(table: SigmaTable, steps: int) -> np.ndarray:
    """Every n-th entry of the table from its second on; may hold more sigmas than asked for."""
    sigmas = [np.float32(0)]
    if math.isclose(float(table.sigmas[1]), 0, abs_tol=0.00001):
        steps += 1
        sigmas = []
    stride = max(TABLE_SIZE // steps, 1)
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
    timesteps = np.rint(quantiles * (TABLE_SIZE - 1)).astype(int)
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
