"""What a step trains on: clips drawn from trajectories and data, every draw from the step's own generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..latents import LatentSet
from .objectives import Batch
from .parent import Conditions, renoise
from .trajectories import Trajectories

# (x, time [B], conditions) -> clean prediction, without gradients
Predict = Callable[[Tensor, Tensor, Conditions], Tensor]


@dataclass(frozen=True)
class DrawConfig:
    """Where a student's steps begin.

    Args:
        batch: clips per process.
        starts: indices into the trajectories' sigmas, the first of them 0 (noise alone).
        weights: how often each start is drawn, relatively.
        rollout: share of the starts after the first that begin where the student itself gets to: its
            prediction from noise, noised anew (DMD2's backward simulation).
        renoised: share that begins at the teacher's result, noised anew; the rest is on the trajectory.
        fresh: share of the clips that begin at noise of no trajectory. They have no target and teach by the
            other objectives: a student that has seen its trajectories often makes better clips of their
            noise than of any other, so that a discriminator has nothing to tell, and rollouts begin at
            clips that nobody gets in use.
        fresh_from: the step that they begin at: before another objective does, they teach nothing.
        images: share of the steps that see single frames (SnapGen-V mixes images and videos).
        real: `teacher` or `data`, what stands for real clips.
    """

    batch: int
    starts: tuple[int, ...]
    weights: tuple[float, ...]
    rollout: float = 0.5
    renoised: float = 0.25
    fresh: float = 0.0
    fresh_from: int = 0
    images: float = 0.0
    real: str = "teacher"

    def __post_init__(self) -> None:
        if (
            len(self.starts) != len(self.weights)
            or self.starts[0] != 0
            or self.real not in ("teacher", "data")
        ):
            raise ValueError(
                "A few-step recipe needs one weight per start, a first start of 0, and real clips of "
                f"'teacher' or 'data'; it has {self}: correct its section draw."
            )


@dataclass
class Source:
    """Trajectories with the text features of their captions, `context [N, L, D]` and `mask [N, L]`."""

    data: LatentSet
    trajectories: Trajectories
    context: Tensor
    mask: Tensor
    device: torch.device | str = "cpu"

    def draw(self, config: DrawConfig, generator: torch.Generator, predict: Predict) -> Batch:
        """One batch. `predict` is the student, for rollouts."""
        count = len(self.trajectories.states)
        index = torch.randint(count, (config.batch,), generator=generator)
        chances = torch.tensor(config.weights, dtype=torch.float32)
        which = torch.multinomial(chances, config.batch, replacement=True, generator=generator)
        kind = torch.rand(config.batch, generator=generator)
        still = bool(torch.rand((), generator=generator) < config.images)
        frames = 1 if still else self.data.latents.shape[2]
        start = torch.tensor(config.starts)[which]
        time = self.trajectories.sigmas[start]
        states = self.trajectories.states
        result = states[index, -1].float()[:, :, :frames]
        clean = self.data.latents[index][:, :, :frames]
        free = self.trajectories.free[index][:, :frames]
        if still:
            free = torch.ones_like(free)  # a given frame leaves nothing to make
        conditions = Conditions(
            self.context[index], self.mask[index], self.data.motion[index].float(), free, clean[:, :, :1]
        )
        noise = torch.randn(result.shape, generator=generator)
        if still:
            x = renoise(result, noise, time, conditions)
            paired = (start > 0).float()
        else:
            x = states[index, start].float()
            later = start > 0
            simulated = later & (kind < config.rollout)
            again = later & (kind >= config.rollout) & (kind < config.rollout + config.renoised)
            paired = torch.ones(config.batch)
            begun = states[index, 0].float()
            if config.fresh:
                fresh = torch.rand(config.batch, generator=generator) < config.fresh
                other = conditions.hold(torch.randn(result.shape, generator=generator))
                begun = torch.where(fresh[:, None, None, None, None], other, begun)
                x = torch.where(fresh[:, None, None, None, None], other, x)
                # From noise of its own a clip gets to a later start by itself alone.
                simulated, again = simulated | (fresh & later), again & ~fresh
                paired = (~fresh).float()
            x = torch.where(again[:, None, None, None, None], renoise(result, noise, time, conditions), x)
            if simulated.any():
                ones = torch.ones(int(simulated.sum()), device=self.device)
                reached = torch.zeros_like(result)
                first = begun[simulated].to(self.device)
                reached[simulated] = predict(first, ones, conditions[simulated].to(self.device)).cpu()
                moved = renoise(reached, noise, time, conditions)
                x = torch.where(simulated[:, None, None, None, None], moved, x)
        real = result if config.real == "teacher" else clean
        return Batch(
            x=x.to(self.device),
            time=time.to(self.device),
            target=result.to(self.device),
            paired=paired.to(self.device),
            real=real.to(self.device),
            conditions=conditions.to(self.device),
            generator=generator,
        )
