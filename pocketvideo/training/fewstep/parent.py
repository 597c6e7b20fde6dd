"""The teacher of a few-step student: a trained flow, its captions as features, its guided velocity.

Everything a loss needs of the many-step model is here; the losses themselves know no model file. The flow is
rectified: x_t = (1 - t) x0 + t noise, v = noise - x0, so x0 = x_t - t v.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...models.checkpoint import PocketModel

# (x [B, C, F, H, W], times [B, F], conditions) -> velocity
Velocity = Callable[[Tensor, Tensor, "Conditions"], Tensor]


@dataclass(frozen=True)
class Conditions:
    """What a batch of clips is conditioned on.

    Args:
        context: text features `[B, L, D]`.
        mask: `[B, L]`, 1 for words.
        motion: motion scores `[B]`.
        free: `[B, F]`, 0 on a given first frame, which stays clean and out of every loss.
        first: clean latents `[B, C, 1, H, W]`; read where `free` is 0 alone.
    """

    context: Tensor
    mask: Tensor
    motion: Tensor
    free: Tensor
    first: Tensor

    @property
    def pooled(self) -> Tensor:
        """The mean of the words' features `[B, D]`: what a projection head compares with."""
        weights = self.mask.to(self.context)[..., None]
        return (self.context * weights).sum(1) / weights.sum(1).clamp_min(1)

    def __getitem__(self, rows: Tensor) -> Conditions:
        """The chosen clips of the batch."""
        return Conditions(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def to(self, device: torch.device | str) -> Conditions:
        moved = {name: getattr(self, name).to(device) for name in self.__dataclass_fields__}
        return Conditions(**moved)

    def without_text(self, empty: tuple[Tensor, Tensor]) -> Conditions:
        """The same clips with the empty prompt, given as features `[1, L, D]` and mask `[1, L]`."""
        batch = len(self.motion)
        return replace(
            self,
            context=empty[0].to(self.context).expand(batch, -1, -1),
            mask=empty[1].to(self.mask).expand(batch, -1),
        )

    def hold(self, x: Tensor) -> Tensor:
        """`x` with every given first frame in its place."""
        keep = self.free[:, None, :, None, None].to(x)
        held = torch.cat((self.first.to(x), x[:, :, 1:]), dim=2)
        return torch.where(keep > 0, x, held)

    def times(self, time: Tensor) -> Tensor:
        """Times `[B]` per frame, `[B, F]`: 0 on a given first frame."""
        return time[:, None] * self.free.to(time)


def pocket_velocity(network: torch.nn.Module) -> Velocity:
    """The velocity of our own denoiser."""

    def velocity(x: Tensor, times: Tensor, conditions: Conditions) -> Tensor:
        return network(x, times, conditions.context, conditions.mask, conditions.motion)

    return velocity


def guided(velocity: Velocity, guidance: float, empty: tuple[Tensor, Tensor]) -> Velocity:
    """Classifier-free guidance in one call of twice the batch; the velocity itself where it is off."""
    if guidance == 1.0:
        return velocity

    def both(x: Tensor, times: Tensor, conditions: Conditions) -> Tensor:
        unasked = conditions.without_text(empty)
        pair = Conditions(
            **{
                name: torch.cat((getattr(conditions, name), getattr(unasked, name)))
                for name in conditions.__dataclass_fields__
            }
        )
        with_text, without = velocity(x.repeat(2, 1, 1, 1, 1), times.repeat(2, 1), pair).float().chunk(2)
        return without + guidance * (with_text - without)

    return both


def clean_from(velocity: Velocity, x: Tensor, time: Tensor, conditions: Conditions) -> Tensor:
    """x0hat = x_t - t v, with given first frames in place; `time` `[B]`."""
    x = conditions.hold(x)
    predicted = x - time[:, None, None, None, None] * velocity(x, conditions.times(time), conditions)
    return conditions.hold(predicted)


def renoise(clean: Tensor, noise: Tensor, time: Tensor, conditions: Conditions) -> Tensor:
    """(1 - t) x0 + t noise; given first frames stay clean."""
    level = time[:, None, None, None, None]
    return conditions.hold((1 - level) * clean + level * noise)


@torch.no_grad()
def encode_captions(model: PocketModel, captions: list[str], batch: int = 256) -> tuple[Tensor, Tensor]:
    """Features `[N, L, D]` and masks `[N, L]` of captions, by the parent's own text encoder."""
    parts = [model.encode_text(captions[i : i + batch]) for i in range(0, len(captions), batch)]
    return torch.cat([features for features, _ in parts]), torch.cat([mask for _, mask in parts])
