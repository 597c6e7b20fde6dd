"""Networks larger than memory: pieces of a network without numbers get them when they are needed.

The network lies on torch's meta device. What is real there already (small tables that a class computes when
it is built) is copied as it is.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from torch import Tensor, nn

from ..forms import without
from .source import Source

M = TypeVar("M", bound=nn.Module)

_SHAPES_ALONE: ContextVar[bool] = ContextVar("shapes_alone", default=False)


@contextmanager
def only_shapes() -> Iterator[None]:
    """Inside, pieces get no numbers and no file is read for them: their tensors stay on the meta device."""
    token = _SHAPES_ALONE.set(True)
    try:
        yield
    finally:
        _SHAPES_ALONE.reset(token)


class Pieces(ABC):
    """Gives the pieces of a network on the meta device their numbers, float32, on the CPU."""

    def __init__(self, network: nn.Module) -> None:
        """Note the name of every parameter and buffer; modules given to `real` hold these same tensors."""
        tensors = [*network.named_parameters(), *network.named_buffers()]
        self._named = {id(tensor): (name, tensor) for name, tensor in tensors if tensor.is_meta}

    @abstractmethod
    def numbers(self, name: str, tensor: Tensor) -> Tensor:
        """The values of the parameter or buffer of this name, in the shape of `tensor`."""

    def real(self, module: M) -> M:
        """A deep copy of a piece of the network with its numbers."""
        held = {id(tensor) for tensor in [*module.parameters(), *module.buffers()]}
        # A deep copy takes what the memo holds for a tensor's id instead of copying the tensor.
        memo: dict[int, Any] = {key: self._filled(*self._named[key]) for key in held & self._named.keys()}
        return copy.deepcopy(module, memo)

    def lazily(self, network: M, *lists: str) -> M:
        """The whole network, where the modules of these lists have their numbers only while they run.

        A list is named by its path, `encoder.block` for example.
        """
        light, below = network, [path.split(".") for path in lists]
        for parents in below:
            light = _lacking(light, parents)
        made = self.real(light)
        for *parents, name in below:
            blocks = network.get_submodule(".".join([*parents, name]))
            lazy = nn.ModuleList(_OnDemand(block, self.real) for block in blocks.children())
            setattr(made.get_submodule(".".join(parents)), name, lazy)
        return made

    def source(self, network: nn.Module, *lists: str) -> Source:
        """What an adapter wants to know, where these lists hold the network's blocks."""
        return Source(self.real, lambda: self.lazily(network, *lists))

    def _filled(self, name: str, tensor: Tensor) -> Tensor:
        if _SHAPES_ALONE.get():
            return tensor
        values = self.numbers(name, tensor)
        return nn.Parameter(values, requires_grad=False) if isinstance(tensor, nn.Parameter) else values


class _OnDemand(nn.Module):
    """A module that is made when called and forgotten after."""

    def __init__(self, source: nn.Module, real: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        # In a tuple, so that the source is not a child and takes part in nothing.
        self.held = (source, real)

    def forward(self, *values: Any, **named: Any) -> Any:
        source, real = self.held
        return real(source)(*values, **named)

    def __getattr__(self, name: str) -> Any:
        # Networks ask their blocks for settings, such as the kind of attention.
        if name != "held" and "held" in self.__dict__ and not name.startswith("_"):
            return getattr(self.held[0], name)
        return super().__getattr__(name)


def _lacking(module: M, path: list[str]) -> M:
    """A shallow copy without the child at this path; the modules on the way are copied, too."""
    if len(path) == 1:
        return without(module, path[0])
    light = without(module)
    light._modules[path[0]] = _lacking(getattr(module, path[0]), path[1:])
    return light
