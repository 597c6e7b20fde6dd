"""What a component weighs and how much its activations take, without its numbers.

The network is built on torch's meta device, which has shapes and no memory, so that a model larger than this
machine's memory is looked at in seconds, and no weights are read.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .graphs import stage_weights
from .parity import SIZES
from .stages import Component, size_of


@dataclass(frozen=True)
class StageSize:
    """Bytes of a stage's weights in float32, by the name of its file of weights."""

    graph: str
    weights: str
    bytes: int


@dataclass(frozen=True)
class ComponentSize:
    """What a component takes: its stages, the bytes of its self-test, and of activations at their worst."""

    stages: tuple[StageSize, ...]
    self_test: int
    activations: int


def meta_model(config: Mapping[str, Any]) -> Any:
    """The networks of a model file's config, without numbers."""
    from ..models.checkpoint import build_from_config

    with torch.device("meta"):
        return build_from_config(dict(config))


def component_size(component: Component, sizes: Mapping[str, int]) -> ComponentSize:
    """Measure a component whose networks lie on the meta device, at the plan's sizes of the named axes."""
    stages, peak = [], 0
    check = {**SIZES[0], "length": sizes["length"]}
    test = sum(_bytes(_tensor(component, name, check)) for name in component.inputs)
    for stage in component.stages:
        module = stage.build().to("meta")
        held = stage_weights(module)
        stages.append(StageSize(stage.graph, stage.weights, sum(_bytes(value) for value in held.values())))
        peak = max(peak, _run(component, module, stage.inputs, sizes)[0])
        outputs = _run(component, module, stage.inputs, check)[1]
        test += sum(
            _bytes(value)
            for name, value in zip(stage.outputs, outputs, strict=True)
            if name in component.outputs
        )
    return ComponentSize(tuple(stages), test, peak)


def _run(
    component: Component, module: nn.Module, inputs: tuple[str, ...], sizes: Mapping[str, int]
) -> tuple[int, list[torch.Tensor]]:
    """Bytes of activations alive at the worst moment of a stage as it is written, and what it gives."""
    given = [_tensor(component, name, sizes) for name in inputs]
    with torch.no_grad(), torch.device("meta"), _Alive(given) as alive:
        made = tree_leaves(module(*given))
    return alive.peak, made


def _tensor(component: Component, name: str, sizes: Mapping[str, int]) -> torch.Tensor:
    axes = component.axes[name]
    shape = [size_of(axis, dict(sizes)) for axis in axes.names]
    return torch.empty(shape, dtype=axes.dtype, device="meta")


def _bytes(tensor: torch.Tensor) -> int:
    return math.prod(tensor.shape) * tensor.element_size()


class _Alive(TorchDispatchMode):
    """Sums the storages that operations have made and nobody has let go of yet."""

    def __init__(self, given: list[torch.Tensor]) -> None:
        super().__init__()
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0
        self._note(given)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self._note(leaf for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor))
        return made

    def _note(self, tensors: Iterator[torch.Tensor] | list[torch.Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            reference = StorageWeakRef(storage)
            self._alive[reference.cdata] = (reference, storage.nbytes())
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
