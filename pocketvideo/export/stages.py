"""A network as stages: small modules that a device runs one after the other.

A stage reads named activations and writes named activations; stages of one graph differ in weights alone. The
names are those of the bundle (docs/bundle.md): a block overwrites `tokens`, a text layer overwrites `hidden`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Axes:
    """The axes of an activation: a name where any size will do, a number where only that one will.

    A name may carry a factor, `32*height`, or a divisor, `height/2`, which rounds up: so many patches.
    """

    names: tuple[str | int, ...]
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Stage:
    """One run of a graph: `build()` gives the module in export form, made when needed to save memory."""

    graph: str
    weights: str
    build: Callable[[], nn.Module]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def _no_settings(sizes: Mapping[str, int]) -> dict[str, Tensor]:
    return {}


@dataclass(frozen=True)
class Component:
    """A network as stages.

    `reference` is the untouched network on the component's inputs (a tuple where it has several outputs),
    `axes` describes every activation, `vocabulary` bounds the token ids of a text encoder, `last_time` is the
    timestep of pure noise. `settings` gives the inputs that are no data, such as indices, for the sizes of a
    check.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: tuple[Stage, ...]
    axes: dict[str, Axes]
    reference: Callable[..., Any]
    vocabulary: int = 1
    last_time: float = 1.0
    settings: Callable[[Mapping[str, int]], dict[str, Tensor]] = _no_settings


def size_of(axis: str | int, sizes: Mapping[str, int]) -> int:
    """The size of an axis of `Axes` when the named ones have these sizes."""
    if isinstance(axis, int):
        return axis
    factor, name, divisor = split_axis(axis)
    return -(-factor * sizes[name] // divisor)


def split_axis(axis: str) -> tuple[int, str, int]:
    """Factor, name and divisor of a named axis; 1 where there is none."""
    factor, _, rest = axis.rpartition("*")
    name, _, divisor = rest.partition("/")
    return int(factor or 1), name, int(divisor or 1)
