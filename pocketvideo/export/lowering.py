"""The closed list of node types that a device can run, and how a lowering reads the node it is given.

A lowering turns one node of ComfyUI into values of the plan. It is registered under the node's class type; a
class type without one is an `UnsupportedNode`. Lowerings read inputs through `Reader`, which checks type and
bounds, so a lowering never sees a value that the device could not take.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from .errors import UnsupportedNode, WorkflowError
from .plan import Lookups, PlanBuilder
from .prompt import Link, Node

T = TypeVar("T")
Lowering = Callable[["Reader", PlanBuilder, Lookups], tuple[Any, ...]]


@dataclass(frozen=True)
class Entry:
    """A registered lowering. `output` marks the nodes that a plan may end in."""

    lower: Lowering
    output: bool


@dataclass(frozen=True)
class Literal:
    """A value that a primitive node holds and widgets take."""

    value: int | float | str | bool


REGISTRY: dict[str, Entry] = {}

REPLACEMENTS = {
    "EmptyLatentImage": "Empty Pocket Video Latent",
    "EmptySD3LatentImage": "Empty Pocket Video Latent",
    "EmptyMochiLatentVideo": "Empty Pocket Video Latent",
    "EmptyCosmosLatentVideo": "Empty Pocket Video Latent",
    "SaveWEBM": "Save Video",
    "SaveImage": "Save Video",
    "PreviewImage": "Save Video",
    "SaveAnimatedPNG": "Save Video",
}


def lowering(class_type: str, *, output: bool = False) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the one lowering of a class type."""

    def register(function: Lowering) -> Lowering:
        if class_type in REGISTRY:
            raise ValueError(f"{class_type} has two lowerings")
        REGISTRY[class_type] = Entry(function, output)
        return function

    return register


def entry(node: Node) -> Entry:
    """The registered lowering of a node; raises `UnsupportedNode` naming it and what to use instead."""
    found = REGISTRY.get(node.class_type)
    if found:
        return found
    instead = REPLACEMENTS.get(node.class_type)
    advice = f'use "{instead}" instead' if instead else "remove it from the way to the output"
    raise UnsupportedNode(f"Node {node.label} cannot run on a device because it has no lowering; {advice}.")


class Reader:
    """The inputs of one node, with links resolved to what the linked nodes were lowered to."""

    def __init__(self, node: Node, outputs: Mapping[str, tuple[Any, ...]], *, is_end: bool = False) -> None:
        self.node = node
        self.is_end = is_end
        self._outputs = outputs

    def fail(self, name: str, problem: str) -> NoReturn:
        """Raise `WorkflowError` about the input `name`; `problem` says what is wrong and what is allowed."""
        raise WorkflowError(f"Input {name} of node {self.node.label} {problem}.")

    def link(self, name: str, kind: type[T]) -> T:
        """The linked value, which has to be of this kind."""
        value = self._value(name)
        if not isinstance(value, Link):
            self.fail(name, f"is not linked; link {_a(kind)} to it")
        outputs = self._outputs[value.node]
        if value.slot >= len(outputs):
            self.fail(
                name, f"uses output {value.slot} of node {value.node}, which a device cannot make; unlink it"
            )
        linked = outputs[value.slot]
        if not isinstance(linked, kind):
            self.fail(name, f"is linked to {_a(type(linked))}; link {_a(kind)} to it")
        return linked

    def passed(self) -> Any:
        """What the node's one link brings, of any kind."""
        links = [(name, value) for name, value in self.node.inputs.items() if isinstance(value, Link)]
        if len(links) != 1:
            raise WorkflowError(f"Node {self.node.label} has {len(links)} links and passes on one; link one.")
        (name, link), outputs = links[0], self._outputs[links[0][1].node]
        if link.slot >= len(outputs):
            self.fail(
                name or "input",
                f"uses output {link.slot} of node {link.node}, which a device cannot make; unlink it",
            )
        return outputs[link.slot]

    def unlinked(self, name: str, reason: str) -> None:
        """Refuse an optional socket that a device cannot honour."""
        if isinstance(self.node.inputs.get(name), Link):
            self.fail(name, f"{reason}; unlink it")

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """An integer from low to high. A whole float counts, as it does for ComfyUI."""
        value = self._literal(name, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fail(name, f"is {_show(value)}; set it to a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number from low to high."""
        value = self._literal(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.fail(name, f"is {_show(value)}; set it to a number from {low:g} to {high:g}")
        if not math.isfinite(value):
            self.fail(name, f"is {value}; set it to a number from {low:g} to {high:g}")
        return float(value)

    def switch(self, name: str) -> bool:
        """True or false."""
        value = self._literal(name, None)
        if not isinstance(value, bool):
            self.fail(name, f"is {_show(value)}; switch it on or off")
        return value

    def text(self, name: str, limit: int) -> str:
        """A text of at most that many characters."""
        value = self._literal(name, None)
        if not isinstance(value, str):
            self.fail(name, f"is {_show(value)}; set it to a text")
        if len(value) > limit:
            self.fail(name, f"has {len(value)} characters; shorten it to {limit}")
        return value

    def file_name(self, name: str) -> str:
        """The name of a file that the desk looks up; printable, because errors repeat it."""
        value = self.text(name, 512)
        if not value or not value.isprintable():
            self.fail(name, "is not a file name; choose one from the list")
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str:
        """One of the allowed texts."""
        value = self._literal(name, None)
        if not isinstance(value, str) or value not in allowed:
            self.fail(
                name, f"is {_show(value)}, which a device does not know; set it to {' or '.join(allowed)}"
            )
        return value

    def _literal(self, name: str, default: Any) -> Any:
        value = self._value(name, default)
        if isinstance(value, Link):
            outputs = self._outputs[value.node]
            linked = outputs[value.slot] if value.slot < len(outputs) else None
            if isinstance(linked, Literal):
                return linked.value
            self.fail(
                name,
                f"is linked to node {value.node}, which is no primitive; unlink it and set its value instead",
            )
        return value

    def _value(self, name: str, default: Any = None) -> Any:
        value = self.node.inputs.get(name, default)
        if value is None:
            self._fail_where_muted(name)
            self.fail(name, "is missing; set it")
        return value

    def _fail_where_muted(self, name: str) -> None:
        muted = self.node.muted.get(name)
        if muted is not None:
            self.fail(
                name,
                f"comes from node {muted}, which is muted, so that nothing arrives; unmute it, bypass it, or "
                "link another node",
            )


def _a(kind: type) -> str:
    name = getattr(kind, "SOCKET", kind.__name__)
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
