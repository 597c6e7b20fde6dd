"""The training loop that every stage shares: accelerate, EMA, checkpoints that survive a kill, loss plot.

A stage gives a module and a function from a step number to a loss. It draws everything random from a
generator seeded with (seed, step), so that a resumed run repeats the uninterrupted one.
This file knows nothing about video.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from .checkpoints import load_checkpoint, save_checkpoint
from .processes import make_accelerator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopConfig:
    """How long and how a stage trains.

    `ema_decay` is warmed up as (1 + step) / (10 + step); `warmup` is a number of steps; the learning rates
    follow a linear warm-up and then a cosine down to `final_lr` of their peak.
    """

    steps: int
    warmup: int = 100
    final_lr: float = 0.02
    clip: float = 1.0
    ema_decay: float = 0.999
    checkpoint_every: int = 250
    mixed_precision: str = "no"


class _Progress:
    """The step number and the averaged weights: what accelerate does not keep by itself."""

    def __init__(self, module: nn.Module):
        self.step = 0
        self.ema = {name: value.detach().clone().float() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def advance(self, module: nn.Module, ema_decay: float) -> None:
        self.step += 1
        decay = min(ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in module.state_dict().items():
            self.ema[name].lerp_(value.float(), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "ema": self.ema}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.ema = state["step"], state["ema"]


@dataclass
class Loop:
    """One resumable run in `directory`: `checkpoint/` (accelerate state), `losses.jsonl`, `loss.png`."""

    directory: Path
    config: LoopConfig
    module: nn.Module
    optimizers: list[torch.optim.Optimizer]
    accelerator: Accelerator = field(init=False)
    _progress: _Progress = field(init=False)

    @property
    def step(self) -> int:
        """Optimiser steps done, resumed ones included."""
        return self._progress.step

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.accelerator = make_accelerator(self.config.mixed_precision)
        self._schedules = [
            torch.optim.lr_scheduler.LambdaLR(
                opt, cosine_with_warmup(self.config.steps, self.config.warmup, self.config.final_lr)
            )
            for opt in self.optimizers
        ]
        self.module = self.accelerator.prepare(self.module)
        self.optimizers = [self.accelerator.prepare(opt) for opt in self.optimizers]
        self._schedules = [self.accelerator.prepare(schedule) for schedule in self._schedules]
        self._progress = _Progress(self._plain())
        self.accelerator.register_for_checkpointing(self._progress)
        self._resume()

    def run(
        self, loss_at: Callable[[int], dict[str, Tensor]], on_checkpoint: Callable[[], None] | None = None
    ) -> None:
        """Train up to `config.steps`. `loss_at(step)` returns named losses; `loss` is the one minimised."""
        bar = tqdm(total=self.config.steps, initial=self.step, desc=self.directory.name, unit="step")
        history = (self.directory / "losses.jsonl").open("a", encoding="utf-8")
        started = time.perf_counter()
        try:
            while self.step < self.config.steps:
                losses = loss_at(self.step)
                for optimizer in self.optimizers:
                    optimizer.zero_grad(set_to_none=True)
                self.accelerator.backward(losses["loss"])
                norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip)
                for optimizer, schedule in zip(self.optimizers, self._schedules, strict=True):
                    optimizer.step()
                    schedule.step()
                self._progress.advance(self._plain(), self.config.ema_decay)
                values = {name: float(value.detach()) for name, value in losses.items()}
                if not math.isfinite(values["loss"]):
                    raise FloatingPointError(
                        f"The loss of {self.directory.name} became {values['loss']} at step {self.step}: "
                        "lower the learning rate and start again from the last checkpoint."
                    )
                seconds = round(time.perf_counter() - started, 2)
                record = {"step": self.step, "seconds": seconds, "grad_norm": float(norm), **values}
                history.write(json.dumps(record) + "\n")
                bar.update(1)
                bar.set_postfix({name: f"{value:.4f}" for name, value in values.items()}, refresh=False)
                if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                    history.flush()
                    self.save()
                    plot_losses(self.directory)
                    if on_checkpoint:
                        on_checkpoint()
        except KeyboardInterrupt:
            self.save()
            log.warning("Stopped at step %d; run the same command again to go on.", self.step)
            raise
        finally:
            history.close()
            bar.close()

    def save(self) -> None:
        """Write the whole state; a kill while it is written leaves the state before."""
        save_checkpoint(self.accelerator, self.directory)

    def ema_state_dict(self) -> dict[str, Tensor]:
        return dict(self._progress.ema)

    def _resume(self) -> None:
        if load_checkpoint(self.accelerator, self.directory):
            log.info("Resumed %s at step %d.", self.directory.name, self.step)

    def _plain(self) -> nn.Module:
        return self.accelerator.unwrap_model(self.module)


def generator_for(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """A private generator for one step, so that a resumed run draws what the first would have drawn."""
    return torch.Generator().manual_seed((seed * 1_000_003 + stream) * 1_000_003 + step)


def plot_losses(directory: Path) -> None:
    """Draw `loss.png` from `losses.jsonl`: every named loss, smoothed, on a log axis of both signs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    records = [json.loads(line) for line in (directory / "losses.jsonl").read_text().splitlines()]
    names = [name for name in records[-1] if name not in ("step", "seconds", "grad_norm")]
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name in names:
        smooth, points = None, []
        # A loss may begin later than the others.
        having = [record for record in records if name in record]
        for record in having:
            smooth = record[name] if smooth is None else 0.98 * smooth + 0.02 * record[name]
            points.append(smooth)
        axes.plot([record["step"] for record in having], points, label=name)
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set(xlabel="step", ylabel="loss", title=directory.name)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(directory / "loss.png", dpi=110)
    pyplot.close(figure)


def cosine_with_warmup(steps: int, warmup: int, final_lr: float) -> Callable[[int], float]:
    """The part of the learning rate at a step: a linear rise, then a cosine down to `final_lr`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return final_lr + (1 - final_lr) * 0.5 * (1 + math.cos(math.pi * done))

    return factor
