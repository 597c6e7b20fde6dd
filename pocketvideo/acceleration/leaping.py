"""Linear Proportional Leap (On-device Sora, arXiv:2502.04363, section 4) around any k-diffusion sampler.

A sampler follows the drift d = (x - denoised) / sigma. Once d has stopped turning, the rest of the way is a
straight line, and one step covers it: x + d (0 - sigma), which is the denoised prediction. `leap_sample` has
the signature of a sampler of k-diffusion and runs another one inside; when every video of the batch has
leapt, it leaves that sampler and returns where the line ends. The inner sampler's own state is not used after
a leap, so neither history (dpmpp_2m, uni_pc) nor fresh noise (euler_ancestral) can leave a trace in it.

Knows nothing of ComfyUI. When to leap is decided by the controller that devices use, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...mobile_runtime.engine.leap import LeapConfig, LeapController
from .leap_record import LeapRecord

__all__ = ["LeapConfig", "LeapRecord", "cosine_similarity", "leap_sample"]

Sampler = Callable[..., Tensor]
StepCallback = Callable[[dict[str, Any]], None]


class _AllLeapt(BaseException):
    """Leaves the inner sampler. Not an Exception, so that no `except Exception` on the way can keep it."""


def cosine_similarity(a: Tensor, b: Tensor) -> list[float]:
    """Cosine of the angle between `a[i]` and `b[i]`, each as one flat vector, for tensors `[B, ...]`.

    Sums in float64. A vector of zeros points nowhere, so nothing has turned: 1.
    """
    first, second = _flat64(a), _flat64(b)
    dot = (first * second).sum(dim=1)
    size = first.square().sum(dim=1).sqrt() * second.square().sum(dim=1).sqrt()
    cosine = torch.where(size == 0, torch.ones_like(size), dot / size)
    values: list[float] = cosine.tolist()
    return values


def _flat64(x: Tensor) -> Tensor:
    # Apple's graphics processors have no float64.
    return (x.cpu() if x.device.type == "mps" else x).flatten(1).to(torch.float64)


class _Watched:
    """The model that the inner sampler sees: the real one, which is remembered with its last evaluation."""

    def __init__(self, model: Any, record: LeapRecord) -> None:
        self._model = model
        self._record = record
        self.last: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        denoised: Tensor = self._model(x, sigma, *args, **kwargs)
        self._record.evaluations += 1
        self.last = (x, sigma, denoised)
        return denoised

    def __getattr__(self, name: str) -> Any:
        # Samplers look through the model at the host's objects behind it.
        return getattr(self._model, name)


class _Run:
    """One run of a sampler over one batch: measures at the start of each step, and freezes what has leapt."""

    def __init__(self, sigmas: Tensor, config: LeapConfig, record: LeapRecord, callback: StepCallback | None):
        self.total = len(sigmas) - 1
        self._to_zero = bool(sigmas[-1] == 0)
        # A view: uni_pc writes another end into the caller's sigmas, which then is where a run has to end.
        self._end = sigmas[-1]
        self._config = config
        self._record = record
        self._callback = callback
        self._controllers: list[LeapController] = []
        self._drift: Tensor | None = None
        self._step = -1
        self._stopped = False
        # Of the videos that have leapt: their prediction of the clean latent, and the state that they return.
        self._denoised: Tensor | None = None
        self._result: Tensor | None = None

    def step(self, watched: _Watched, info: dict[str, Any]) -> None:
        """The inner sampler's callback: every sampler calls it right after a step's own evaluation.

        Evaluations inside a step (heun, dpm_2, seeds, pece) come after it and are not looked at.
        """
        evaluation, watched.last = watched.last, None
        step = int(info["i"])
        if evaluation is not None and not self._stopped:
            if step > self._step:
                self._step = step
                self._measure(step, *evaluation)
            else:
                self._stop("the sampler went back to an earlier step")
        left = self._record.left_early
        if self._callback is not None:
            shown = {**info, "denoised": self._with_leapt(info["denoised"], self._denoised)}
            self._callback({**shown, "i": self.total - 1} if left else shown)
        if left:
            raise _AllLeapt

    def result(self, x: Tensor) -> Tensor:
        """What the run returns when its sampler finished with x: the videos that leapt keep their own."""
        return self._with_leapt(x, self._result)

    def leapt(self) -> Tensor:
        """What the run returns when every video has leapt."""
        assert self._denoised is not None and self._result is not None
        return self._denoised if self._to_zero else self._result

    def _measure(self, step: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None:
        record, items = self._record, x.shape[0]
        if self._drift is not None and self._drift.shape != x.shape:
            self._forget()
            self._stop("the sampler changed the size of the latent on its way")
            return
        if not self._controllers:
            self._controllers = [LeapController(self._config, self.total) for _ in range(items)]
            record.leap_steps, record.leap_sigmas = [None] * items, [None] * items
            record.similarities = [[] for _ in range(items)]
        levels = sigma.expand(items) if sigma.numel() == 1 else sigma
        scale = levels.reshape(-1, *[1] * (x.ndim - 1))
        drift = (x - denoised) / scale
        similarities = None if self._drift is None else cosine_similarity(drift, self._drift)
        self._drift = drift
        if similarities is not None:
            record.measured.append(step)
        end = denoised if self._end == 0 else x + drift * (self._end - scale)
        for item, controller in enumerate(self._controllers):
            similarity = None if similarities is None else similarities[item]
            if similarity is not None:
                record.similarities[item].append(similarity)
            if record.leap_steps[item] is None and controller.observe(step, similarity):
                record.leap_steps[item] = step
                record.leap_sigmas[item] = float(levels[item])
                self._freeze(item, denoised, end)

    def _freeze(self, item: int, denoised: Tensor, end: Tensor) -> None:
        if self._denoised is None or self._result is None:
            self._denoised, self._result = denoised.clone(), end.clone()
        self._denoised[item], self._result[item] = denoised[item], end[item]

    def _forget(self) -> None:
        """Let every video go on with the sampler, as if none had leapt."""
        items = len(self._controllers)
        self._denoised = self._result = None
        self._record.leap_steps, self._record.leap_sigmas = [None] * items, [None] * items

    def _with_leapt(self, x: Tensor, frozen: Tensor | None) -> Tensor:
        if frozen is None:
            return x
        steps = self._record.leap_steps
        kept = torch.tensor([step is not None for step in steps], device=x.device)
        return torch.where(kept.reshape(-1, *[1] * (x.ndim - 1)), frozen.to(x.dtype), x)

    def _stop(self, reason: str) -> None:
        self._stopped = True
        self._record.kept_by = reason


@torch.no_grad()
def leap_sample(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: StepCallback | None = None,
    disable: bool | None = None,
    *,
    sampler: Sampler,
    config: LeapConfig,
    record: LeapRecord,
    **options: Any,
) -> Tensor:
    """Run `sampler` until each video has leapt, as On-device Sora's Linear Proportional Leap (section 4).

    Args:
        model: `model(x, sigma, **extra_args)` gives the denoised latent, guidance included.
        x: noise `[B, ...]`, scaled to sigmas[0].
        sigmas: noise levels `[steps + 1]`, falling. Where the last is not 0 (a schedule that was split), a
            leap goes to the state at that level, so that another sampler can go on from it.
        callback: told of every step as by k-diffusion; a leap reports the last step's index.
        sampler: a sampler of k-diffusion's signature; it gets `options`.
        config: when to leap; decided for each video of the batch alone, by its whole latent.
        record: filled in as the run goes on.

    Returns the latent at sigmas[-1]. Where no video leaps, it is the inner sampler's own, bit for bit.
    """
    record.total, record.sigmas = len(sigmas) - 1, [float(sigma) for sigma in sigmas]
    given = sigmas.clone()
    run = _Run(sigmas, config, record, callback)
    watched = _Watched(model, record)

    def on_step(info: dict[str, Any]) -> None:
        run.step(watched, info)

    try:
        result = sampler(
            watched, x, sigmas, extra_args=extra_args, callback=on_step, disable=disable, **options
        )
    except _AllLeapt:
        result = run.leapt()
        # The end that uni_pc wrote is not where the leap went.
        sigmas.copy_(given)
        record.evaluations_saved = _evaluations_in_all(record) - record.evaluations
    else:
        result = run.result(result)
    record.finished = True
    return result


def _evaluations_in_all(record: LeapRecord) -> int:
    """What the inner sampler would have made: one for the last step, and for others as many as it did."""
    steps = record.measured[-1] if record.measured else 0
    each = max(1, round((record.evaluations - 1) / steps)) if steps else 1
    return 1 + each * (record.total - 1)
