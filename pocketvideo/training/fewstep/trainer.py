"""One loop for every few-step recipe: a student, weighted objectives, and the networks that those train.

A step is one forward pass of the student, the weighted sum of the objectives' terms, one update; then every
objective's own network is updated on the detached prediction, as often as the recipe says. Every draw comes
from a generator of (seed, step, process), so that a killed run goes on bit by bit as if it had not been.
Runs on one process or many (`accelerate launch`). Knows nothing of files of models or of data.
"""

from __future__ import annotations

import json
import logging
import math
import time as clock
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from ..checkpoints import load_checkpoint, save_checkpoint
from ..loop import generator_for, plot_losses
from ..processes import make_accelerator
from ..sharding import ShardedTraining, like, process_mesh, shard, whole
from ..tracking import TRACKERS, LiveView
from .drawing import DrawConfig, Source
from .objectives import Batch, Objective, trainable
from .parent import Conditions, Velocity, clean_from
from .phases import Phase, Phases

log = logging.getLogger(__name__)
STREAM = 43


@dataclass(frozen=True)
class TrainConfig:
    """How long and how strongly.

    Args:
        steps: updates of the student.
        weights: of every objective's term, by its name.
        begin: first step of an objective, 0 where none is named; its own network trains from then on.
        critic_updates: updates of an objective's own network per step, 1 where none is named.
        phases: what changes from a step on, as mappings of `Phase`'s entries.
        warmup, final_lr: linear rise in steps, then a cosine down to this part of the learning rate, in each
            phase.
        clip: largest norm of a network's gradient.
        ema_decay: of the averaged student, warmed up as (1 + step) / (10 + step).
        checkpoint_every, sample_every: steps.
        mixed_precision: accelerate's `no`, `bf16` or `fp16`.
        tracker: `tensorboard` for a live view besides the files, or nothing.
        shard: keep student and fake score in pieces, one per process (FSDP), instead of whole in each (DDP).
    """

    steps: int
    weights: dict[str, float]
    begin: dict[str, int] = field(default_factory=dict)
    critic_updates: dict[str, int] = field(default_factory=dict)
    phases: tuple[dict[str, Any], ...] = ()
    warmup: int = 20
    final_lr: float = 0.05
    clip: float = 1.0
    ema_decay: float = 0.99
    checkpoint_every: int = 50
    sample_every: int = 250
    mixed_precision: str = "no"
    shard: bool = False
    tracker: str = ""


class _Progress:
    """Step, averaged weights, seconds, processes and threads: what accelerate does not keep by itself."""

    def __init__(self, student: nn.Module, processes: int):
        self.step, self.seconds, self.processes = 0, 0.0, processes
        self.threads = torch.get_num_threads()
        self.ema = {
            name: value.detach().clone().float()
            for name, value in student.named_parameters()
            if value.requires_grad
        }

    @torch.no_grad()
    def advance(self, student: nn.Module, decay: float) -> None:
        self.step += 1
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for name, value in student.named_parameters():
            if name in self.ema:
                self.ema[name].lerp_(value.float(), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "processes": self.processes,
            "threads": self.threads,
            "ema": self.averaged(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds, self.processes = state["step"], state["seconds"], state.get("processes", 1)
        self.threads = state.get("threads", self.threads)
        self.ema = {name: like(value, self.ema[name]) for name, value in state["ema"].items()}

    def averaged(self) -> dict[str, Tensor]:
        """Whole tensors, of a sharded student too: every process has to ask."""
        return {name: whole(value) for name, value in self.ema.items()}


class FewStepTrainer:
    """A resumable run in `directory`: `checkpoint/`, `losses.jsonl`, `loss.png`.

    Args:
        student: trained where its parameters require gradients.
        velocity_of: turns a student, as accelerate wraps it, into a velocity.
        objectives: by the names that the config's weights use.
        optimizers_of: makes the optimizers of a network, by its name: `student` or an objective's.
        seed: of every draw.
        accelerator: made from the config's precision where none is given.
    """

    def __init__(
        self,
        directory: Path,
        config: TrainConfig,
        student: nn.Module,
        velocity_of: Callable[[nn.Module], Velocity],
        objectives: dict[str, Objective],
        optimizers_of: Callable[[str, nn.Module], list[torch.optim.Optimizer]],
        seed: int,
        accelerator: Accelerator | None = None,
    ):
        self._phases = Phases(config.steps, tuple(Phase(**phase) for phase in config.phases))
        named = set(config.weights).union(*(phase.weights for phase in self._phases.later))
        unknown = sorted(named - set(objectives))
        if unknown or not config.weights:
            raise ValueError(
                f"The recipe weighs {', '.join(unknown) or 'no objective'}; those that exist are "
                f"{', '.join(objectives)}: correct its section train.weights."
            )
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.config, self.velocity_of, self.seed = directory, config, velocity_of, seed
        self.objectives = {name: objectives[name] for name in config.weights}
        self.accelerator = accelerator or make_accelerator(config.mixed_precision)
        self.view: LiveView | None = None
        if config.tracker not in ("", *TRACKERS):
            raise ValueError(f"There is no tracker '{config.tracker}': choose {' or '.join(TRACKERS)}.")
        self.sharded = config.shard and self.accelerator.num_processes > 1
        if config.shard:
            _check_sharding(config, self.accelerator)
        networks = {"student": student, **trainable(self.objectives)}
        # Prepared in one fixed order, because a checkpoint numbers them.
        self._optimizers: dict[str, list[Any]] = {}
        self._schedules: dict[str, list[Any]] = {}
        self.networks: dict[str, nn.Module] = {}
        pieces: list[ShardedTraining] = []
        for name, network in networks.items():
            # A discriminator's heads are small.
            if self.sharded and name != "adversarial":
                mesh = process_mesh(self.accelerator.device, self.accelerator.num_processes)
                own = shard(network.to(self.accelerator.device), mesh)
                part = ShardedTraining(own, partial(optimizers_of, name), self._rate(name))
                self.networks[name] = part.network
                self._optimizers[name], self._schedules[name] = part.optimizers, part.schedules
                pieces.append(part)
                continue
            made = optimizers_of(name, network)
            rate = self._rate(name, self.accelerator.num_processes)
            schedules = [torch.optim.lr_scheduler.LambdaLR(o, rate) for o in made]
            self.networks[name] = self.accelerator.prepare(network)
            self._optimizers[name] = [self.accelerator.prepare(o) for o in made]
            self._schedules[name] = [self.accelerator.prepare(s) for s in schedules]
        self._progress = _Progress(self.plain, self.accelerator.num_processes)
        self.accelerator.register_for_checkpointing(self._progress, *pieces)
        if load_checkpoint(self.accelerator, directory):
            log.info("Resumed %s at step %d.", directory.name, self.step)

    @property
    def step(self) -> int:
        """Updates of the student so far, resumed ones included."""
        return self._progress.step

    @property
    def seconds(self) -> float:
        """Time spent in steps, over all starts."""
        return self._progress.seconds

    @property
    def processes(self) -> int:
        """How many trained last, resumed runs included."""
        return self._progress.processes

    @property
    def threads(self) -> int:
        """The CPU threads of each process that trained last, resumed runs included."""
        return self._progress.threads

    @property
    def plain(self) -> nn.Module:
        """The student without accelerate's wrapping."""
        return self.accelerator.unwrap_model(self.networks["student"])

    def averaged(self) -> dict[str, Tensor]:
        """The student's trained parameters, averaged over the steps. Every process has to ask."""
        return self._progress.averaged()

    def run(
        self,
        source: Source,
        draw: DrawConfig,
        on_sample: Callable[[int], None] | None = None,
        until: int | None = None,
    ) -> None:
        """Train up to `until` or the config's steps; `on_sample` is called in every process.

        Raises FloatingPointError when a loss is not finite.
        """
        end = min(self.config.steps, until if until is not None else self.config.steps)
        if self.step < end:
            self._progress.processes = self.accelerator.num_processes
            self._progress.threads = torch.get_num_threads()
        main = self.accelerator.is_main_process
        bar = tqdm(total=self.config.steps, initial=self.step, desc=self.directory.name, disable=not main)
        history = (self.directory / "losses.jsonl").open("a", encoding="utf-8") if main else None
        self.view = LiveView(self.directory, self.step) if main and self.config.tracker else None
        try:
            while self.step < end:
                started = clock.perf_counter()
                values = self._one(source, draw)
                self._progress.seconds += clock.perf_counter() - started
                if history:
                    record = {"step": self.step, "seconds": round(self.seconds, 2), **values}
                    history.write(json.dumps(record) + "\n")
                if self.view:
                    self.view.losses(values, self.step)
                bar.update(1)
                bar.set_postfix({n: f"{v:.3f}" for n, v in values.items()}, refresh=False)
                if self.step % self.config.checkpoint_every == 0 or self.step == end:
                    if history:
                        history.flush()
                        plot_losses(self.directory)
                    save_checkpoint(self.accelerator, self.directory)
                if on_sample and (self.step % self.config.sample_every == 0 or self.step == end):
                    on_sample(self.step)
        except KeyboardInterrupt:
            save_checkpoint(self.accelerator, self.directory)
            log.warning("Stopped at step %d; run the same command again to go on.", self.step)
            raise
        finally:
            if history:
                history.close()
            if self.view:
                self.view.close()
            bar.close()

    def _one(self, source: Source, draw: DrawConfig) -> dict[str, float]:
        number = self.step
        generator = generator_for(
            self.seed, number * self.accelerator.num_processes + self.accelerator.process_index, STREAM
        )
        with self._kernels():
            self._predictions = 0
            batch = source.draw(self._phases.draw(number, draw), generator, self._predict_without_gradients)
            if self.sharded and not self._predictions:
                # The other processes may wait for this one's pieces of the student.
                first = torch.zeros(len(batch.x), dtype=torch.bool, device=batch.x.device)
                first[0] = True
                self._predict_without_gradients(batch.x[first], batch.time[first], batch.conditions[first])
            return self._step(number, replace(batch, step=number))

    def _step(self, number: int, batch: Batch) -> dict[str, float]:
        with self.accelerator.autocast():
            predicted = clean_from(
                self.velocity_of(self.networks["student"]), batch.x, batch.time, batch.conditions
            )
            predicted = predicted.float()
            active = {n: o for n, o in self.objectives.items() if number >= self.config.begin.get(n, 0)}
            terms = {name: o.generator_loss(predicted, batch) for name, o in active.items()}
        weights = self._phases.weights(number, self.config.weights)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self._update("student", loss)
        self._progress.advance(self.plain, self.config.ema_decay)
        values = {"loss": float(loss.detach()), **{n: float(t.detach()) for n, t in terms.items()}}
        if not math.isfinite(values["loss"]):
            raise FloatingPointError(
                f"The loss of {self.directory.name} became {values['loss']} at step {number}: lower the "
                "learning rate and start again from the last checkpoint."
            )
        for name, objective in active.items():
            values |= self._train_critic(name, objective, predicted.detach(), batch)
        return values

    def _kernels(self) -> AbstractContextManager[None]:
        """Plain attention on a CPU: the fused one's bfloat16 backward pass took 40 % of a step there."""
        if self.accelerator.device.type == "cpu":
            return sdpa_kernel(SDPBackend.MATH)
        return nullcontext()

    def _train_critic(
        self, name: str, objective: Objective, predicted: Tensor, batch: Batch
    ) -> dict[str, float]:
        values: dict[str, float] = {}
        if objective.critic is None:
            return values
        for _ in range(self.config.critic_updates.get(name, 1)):
            with self.accelerator.autocast():
                losses = objective.critic_losses(self.networks[name], predicted, batch)
            self._update(name, torch.stack(list(losses.values())).sum())
            values = {f"{name}.{key}": float(value.detach()) for key, value in losses.items()}
        return values

    def _update(self, name: str, loss: Tensor) -> None:
        for optimizer in self._optimizers[name]:
            optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.networks[name].parameters(), self.config.clip)
        for optimizer, schedule in zip(self._optimizers[name], self._schedules[name], strict=True):
            optimizer.step()
            schedule.step()

    @torch.no_grad()
    def _predict_without_gradients(self, x: Tensor, time: Tensor, conditions: Conditions) -> Tensor:
        self._predictions += 1
        with self.accelerator.autocast():
            return clean_from(self.velocity_of(self.plain), x, time, conditions).float()

    def _rate(self, name: str, calls: int = 1) -> Callable[[int], float]:
        """A network's learning rate; `calls` is how often a schedule is advanced at each of its updates.

        accelerate does so once per process.
        """
        config = self.config
        updates, begin = config.critic_updates.get(name, 1), config.begin.get(name, 0)
        rate = self._phases.rate(begin, updates, config.warmup, config.final_lr)
        return lambda count: rate(count // calls)


def _check_sharding(config: TrainConfig, accelerator: Accelerator) -> None:
    if accelerator.distributed_type == DistributedType.FSDP:
        raise ValueError(
            "accelerate was told to shard, and takes one network where this run trains several: leave its "
            "--use_fsdp out and give --shard to this command."
        )
    if "consistency" in config.weights:
        raise ValueError(
            "The consistency term differentiates the student forwards, which a sharded one cannot: leave "
            "--shard out, or take consistency out of train.weights."
        )
    if config.mixed_precision == "fp16":
        raise ValueError("A sharded run trains in 'no' or 'bf16' precision, not 'fp16': correct the recipe.")
