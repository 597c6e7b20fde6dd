"""The losses that one training loop takes in any mixture: regression, adversarial, distribution matching.

Every objective sees the same prediction of the student, so that a mixture costs one forward pass of it. An
objective with networks of its own (heads, a fake score) trains them on the detached prediction afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from .discriminator import Features, Heads
from .losses import (
    approximated_r1,
    hinge_fake,
    hinge_generator,
    hinge_real,
    logit_normal,
    pseudo_huber,
    token_mean,
)
from .parent import Conditions, Velocity, clean_from, renoise


@dataclass(frozen=True)
class Batch:
    """One step's clips.

    Args:
        x: what the student is given, `[B, C, F, H, W]`, at `time [B]`.
        target: the teacher's result for it; stands for nothing where `paired [B]` is 0.
        real: clips that the student's are to be taken for, of the same conditions.
        generator: the private source of every draw of this step.
        step: updates of the student so far.
    """

    x: Tensor
    time: Tensor
    target: Tensor
    paired: Tensor
    real: Tensor
    conditions: Conditions
    generator: torch.Generator
    step: int = 0

    def noise(self) -> Tensor:
        """Standard normal noise of the clips' shape."""
        return torch.randn(self.real.shape, generator=self.generator).to(self.real)

    def like_time(self, time: Tensor) -> Tensor:
        """Times drawn on the CPU, where the clips are."""
        return time.to(self.real)


class Objective(Protocol):
    """One weighted term. `critic` is None for a term without networks of its own."""

    @property
    def critic(self) -> nn.Module | None:
        """What is trained beside the student."""

    def generator_loss(self, predicted: Tensor, batch: Batch) -> Tensor:
        """The term for the student's clean prediction `[B, C, F, H, W]`."""

    def critic_losses(self, critic: nn.Module, predicted: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Losses of `critic` (as accelerate wraps it); their sum is minimised. `predicted` is detached."""


class Regression:
    """Pseudo-Huber distance to the end of the teacher's trajectory: MobileI2V's first term, SF-V's rec."""

    critic = None

    def __init__(self, c: float = 0.03):
        self.c = c

    def generator_loss(self, predicted: Tensor, batch: Batch) -> Tensor:
        return pseudo_huber(predicted, batch.target, batch.conditions.free, batch.paired, self.c)

    def critic_losses(self, critic: nn.Module, predicted: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {}


class Adversarial:
    """Hinge loss on features of the frozen teacher, at noise levels of the discriminator's own (SnapGen-V).

    Args:
        features: the frozen backbone.
        heads: what is trained.
        mean, std: of the logit-normal noise level of the discriminator's inputs; below 0 favours low noise.
        r1: weight of the approximated R1, on the inputs of the heads.
        r1_noise: its disturbance, in units of the features' own standard deviation.
    """

    def __init__(
        self, features: Features, heads: Heads, mean: float, std: float, r1: float, r1_noise: float = 0.1
    ):
        self.features, self.critic = features, heads
        self.mean, self.std, self.r1, self.r1_noise = mean, std, r1, r1_noise

    def generator_loss(self, predicted: Tensor, batch: Batch) -> Tensor:
        self.critic.requires_grad_(False)
        try:
            logits = self.critic(self._features(predicted, batch), batch.conditions.pooled)
        finally:
            self.critic.requires_grad_(True)
        terms = [hinge_generator(values, batch.conditions.free) for values in logits]
        return torch.stack(terms).mean()

    def critic_losses(self, critic: nn.Module, predicted: Tensor, batch: Batch) -> dict[str, Tensor]:
        free, pooled = batch.conditions.free, batch.conditions.pooled
        with torch.no_grad():
            real, fake = self._features(batch.real, batch), self._features(predicted, batch)
        calm = [self._disturbed(values, batch.generator) for values in real]
        count = len(pooled)
        # One call for all three, because DDP counts calls.
        stacked = [torch.cat(parts) for parts in zip(real, fake, calm, strict=True)]
        logits = [part.float() for part in critic(stacked, pooled.repeat(3, 1))]
        splits = [values.split(count) for values in logits]
        hinge = torch.stack([hinge_real(r, free) + hinge_fake(f, free) for r, f, _ in splits]).mean()
        steep = torch.stack([approximated_r1(r, c, free) for r, _, c in splits]).mean()
        return {"critic": hinge, "critic_r1": self.r1 * steep}

    def _disturbed(self, values: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(values.shape, generator=generator).to(values)
        return values + self.r1_noise * values.std() * noise

    def _features(self, clean: Tensor, batch: Batch) -> list[Tensor]:
        time = batch.like_time(logit_normal(len(clean), self.mean, self.std, batch.generator))
        noisy = renoise(clean, batch.noise(), time, batch.conditions)
        return self.features(noisy, batch.conditions.times(time), batch.conditions)


class DistributionMatching:
    """DMD (2311.18828) as DMD2 and Self-Forcing write it: the difference of two scores as a gradient.

    Args:
        teacher: the guided velocity of the frozen teacher.
        fake: the network that learns the student's distribution, and `velocity_of` to call one.
        low, high: the range of noise levels that both are asked at.
    """

    def __init__(
        self,
        teacher: Velocity,
        fake: nn.Module,
        velocity_of: Callable[[nn.Module], Velocity],
        low: float = 0.02,
        high: float = 0.98,
    ):
        self.teacher, self.critic, self.velocity_of = teacher, fake, velocity_of
        self.low, self.high = low, high

    def generator_loss(self, predicted: Tensor, batch: Batch) -> Tensor:
        free = batch.conditions.free
        time = batch.like_time(torch.rand(len(predicted), generator=batch.generator))
        time = self.low + (self.high - self.low) * time
        with torch.no_grad():
            noisy = renoise(predicted, batch.noise(), time, batch.conditions)
            real = clean_from(self.teacher, noisy, time, batch.conditions)
            fake = clean_from(self.velocity_of(self.critic), noisy, time, batch.conditions)
            made = free[:, None, :, None, None].to(predicted)
            size = ((predicted - real).abs() * made).sum((1, 2, 3, 4), keepdim=True)
            size = size / made.expand_as(predicted).sum((1, 2, 3, 4), keepdim=True)
            goal = predicted - (fake - real) / size.clamp_min(1e-3)
        return 0.5 * token_mean((predicted - goal).square().mean(1), free)

    def critic_losses(self, critic: nn.Module, predicted: Tensor, batch: Batch) -> dict[str, Tensor]:
        time = batch.like_time(logit_normal(len(predicted), 0.0, 1.0, batch.generator))
        noise = batch.noise()
        noisy = renoise(predicted, noise, time, batch.conditions)
        velocity = self.velocity_of(critic)(noisy, batch.conditions.times(time), batch.conditions)
        error = (velocity - (noise - predicted)).square().mean(1)
        return {"fake_score": token_mean(error, batch.conditions.free)}


def trainable(objectives: dict[str, Objective]) -> dict[str, nn.Module]:
    """The networks of objectives, by the objective's name."""
    return {name: o.critic for name, o in objectives.items() if o.critic is not None}
