"""What few-step training asks of a many-step model, whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from ...models.checkpoint import PocketModel
from .parent import Velocity, encode_captions, pocket_velocity


@dataclass(frozen=True)
class Teacher:
    """A trained flow with its text encoder.

    Args:
        network: the denoiser.
        velocity_of: turns it, or a student of it, into a velocity.
        blocks: of the network, in order; a discriminator's features come from them.
        sizes: the width of its tokens and of its text features.
        encode: captions to features `[N, L, D]` and mask `[N, L]`.
    """

    network: nn.Module
    velocity_of: Callable[[nn.Module], Velocity]
    blocks: Callable[[nn.Module], list[nn.Module]]
    sizes: tuple[int, int]
    encode: Callable[[list[str]], tuple[Tensor, Tensor]]


def pocket_teacher(parent: PocketModel) -> Teacher:
    """One of our own models."""
    config = parent.denoiser.config
    return Teacher(
        parent.denoiser,
        pocket_velocity,
        lambda network: list(network.blocks),  # type: ignore[arg-type]
        (config.width, config.text_width or 0),
        lambda captions: encode_captions(parent, captions),
    )
