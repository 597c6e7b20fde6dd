"""Where an adapter takes a network's numbers from: the network itself, or pieces filled when needed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def _itself(module: M) -> M:
    return module


@dataclass(frozen=True)
class Source:
    """How pieces of a network get their numbers.

    A network that holds its weights needs nothing. One on torch's meta device comes with `real`, which copies
    a piece with its numbers, and `whole`, which gives the network that the export is compared with.
    """

    real: Callable[[nn.Module], nn.Module] = _itself
    whole: Callable[[], nn.Module] | None = None

    def network(self, held: nn.Module) -> nn.Module:
        """The whole network, to compare with."""
        return held if self.whole is None else self.whole()


HELD = Source()
