"""ComfyUI's API-format prompt as data that can be trusted to be finite, acyclic and small.

A prompt is hostile input (design/THREATS.md, T9): it may be any JSON. Nothing here knows what a node does.
The walk to an output is iterative, so that neither depth nor a cycle can exhaust the stack, and everything is
bounded.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import WorkflowError

MAX_PROMPT_BYTES = 8 * 1024 * 1024
MAX_NODES = 4096
MAX_INPUTS = 256
MAX_VALUES = 4096
MAX_DEPTH = 8
MAX_TEXT = 32768
MAX_NAME = 128
MAX_INTEGER = 2**64 - 1


@dataclass(frozen=True)
class Link:
    """A reference to output number `slot` of node `node`."""

    node: str
    slot: int


@dataclass(frozen=True)
class Node:
    """One checked node of a prompt. `inputs` holds links and finite JSON values.

    `muted` names the muted nodes that inputs were linked to in the editor, for errors.
    """

    id: str
    class_type: str
    title: str
    inputs: Mapping[str, Any]
    muted: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How error messages name this node: `"Title" (node 3, KSampler)`."""
        return f'"{self.title}" (node {self.id}, {self.class_type})'

    def to_json(self) -> dict[str, Any]:
        """The node in API format again: only what was checked, so that a bundle carries nothing else."""
        inputs = {key: [v.node, v.slot] if isinstance(v, Link) else v for key, v in self.inputs.items()}
        return {"class_type": self.class_type, "inputs": inputs, "_meta": {"title": self.title}}


def parse_prompt(text: str | bytes) -> Any:
    """Parse a prompt's JSON; refuses NaN, Infinity, too many bytes, nesting that readers cannot take."""
    if len(text) > MAX_PROMPT_BYTES:
        raise WorkflowError(
            f"The workflow has {len(text)} bytes, more than the {MAX_PROMPT_BYTES} that can be compiled; "
            "remove embedded data from it."
        )
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except WorkflowError:
        raise
    except RecursionError:
        raise WorkflowError(
            "The workflow is nested too deeply to be read; export it again from ComfyUI."
        ) from None
    except ValueError as error:
        raise WorkflowError(
            f"The workflow is not valid JSON ({error}); export it again from ComfyUI."
        ) from None


def ancestors(prompt: Any, output_id: str) -> list[Node]:
    """The output node and everything it depends on, in an order where inputs come before their users.

    Raises `WorkflowError` for a prompt that is not one, a missing node, a cycle, or values out of bounds.
    """
    check_prompt(prompt)
    order: list[Node] = []
    nodes: dict[str, Node] = {}
    finished: set[str] = set()
    stack: list[tuple[str, list[str]]] = []

    def enter(node_id: str, user: Node | None) -> None:
        node = nodes[node_id] = read_node(prompt, node_id, user)
        sources = [value.node for value in node.inputs.values() if isinstance(value, Link)]
        stack.append((node_id, list(dict.fromkeys(reversed(sources)))))

    enter(output_id, None)
    while stack:
        node_id, sources = stack[-1]
        if sources:
            source = sources.pop()
            if source in finished:
                continue
            if source in nodes:
                raise WorkflowError(
                    f"Node {nodes[node_id].label} depends on itself through {nodes[source].label}; "
                    "remove that link to break the cycle."
                )
            enter(source, nodes[node_id])
        else:
            stack.pop()
            finished.add(node_id)
            order.append(nodes[node_id])
    return order


def check_prompt(prompt: Any) -> None:
    """Raise `WorkflowError` unless this looks like an API-format prompt that is not too large."""
    if not isinstance(prompt, dict) or not prompt:
        raise WorkflowError(
            'This is not a workflow of ComfyUI; save one with "Save" or "Export (API)" there.'
        )
    if len(prompt) > MAX_NODES:
        raise WorkflowError(
            f"The workflow has {len(prompt)} nodes, more than the {MAX_NODES} that can be compiled; split it."
        )


def read_node(prompt: Mapping[str, Any], node_id: str, user: Node | None = None) -> Node:
    """Check one node of a prompt and turn its links into `Link`s; `user` is the node that refers to it."""
    raw = prompt.get(node_id)
    if raw is None:
        where = f"Node {user.label} is linked to" if user else "The output is"
        raise WorkflowError(
            f"{where} node {printable(node_id)}, which the workflow does not have; export it again."
        )
    name = f"Node {printable(node_id)}"
    if len(node_id) > MAX_NAME or not node_id.isprintable():
        raise WorkflowError(
            f"{name} has an id that is not a short text; export the workflow again from ComfyUI."
        )
    if not isinstance(raw, dict):
        raise WorkflowError(f"{name} is not an object; export the workflow again from ComfyUI.")
    class_type, inputs = raw.get("class_type"), raw.get("inputs", {})
    if not isinstance(class_type, str) or not 0 < len(class_type) <= MAX_NAME or not class_type.isprintable():
        raise WorkflowError(
            f"{name} has no class_type that names a node type; export the workflow again from ComfyUI."
        )
    if not isinstance(inputs, dict):
        raise WorkflowError(
            f"{name} has inputs that are not an object; export the workflow again from ComfyUI."
        )
    if len(inputs) > MAX_INPUTS:
        raise WorkflowError(
            f"{name} has {len(inputs)} inputs, more than the {MAX_INPUTS} allowed; remove some."
        )
    meta = raw.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    node = Node(
        node_id, class_type, printable(title) if isinstance(title, str) else class_type, {}, _muted(meta)
    )
    return replace(node, inputs={key: _read_input(node, key, inputs[key]) for key in inputs})


def _muted(meta: Any) -> dict[str, str]:
    """What `editor.py` notes of inputs that lost their link, by input; anything else is passed over."""
    found = meta.get("muted") if isinstance(meta, dict) else None
    if not isinstance(found, dict) or len(found) > MAX_INPUTS:
        return {}
    return {key: printable(label) for key, label in found.items() if isinstance(key, str)}


def is_link(value: Any) -> bool:
    """Whether ComfyUI reads this JSON value as a link: a list of a node id and an output number."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def _read_input(node: Node, key: Any, value: Any) -> Any:
    if not isinstance(key, str) or len(key) > MAX_NAME or not key.isprintable():
        raise WorkflowError(
            f"Node {node.label} has an input whose name is not a short text; export the workflow again."
        )
    if is_link(value):
        if len(value[0]) > MAX_NAME or not 0 <= value[1] < MAX_INPUTS:
            raise WorkflowError(
                f"Input {key} of node {node.label} is linked to no possible output; link it again."
            )
        return Link(*value)
    problem = _problem(value)
    if problem:
        raise WorkflowError(f"Input {key} of node {node.label} holds {problem}; set it to a plain value.")
    return value


def _problem(value: Any) -> str | None:
    """Why a value is not finite, bounded JSON; None when it is. Breadth first, so depth costs no stack."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            count += 1
            if count + len(deeper) > MAX_VALUES:
                return f"more than {MAX_VALUES} values"
            if isinstance(item, str):
                if len(item) > MAX_TEXT:
                    return f"a text of more than {MAX_TEXT} characters"
                if not _encodable(item):
                    return "a text that is not valid Unicode"
            elif isinstance(item, float):
                if not math.isfinite(item):
                    return f"the number {item}"
            elif isinstance(item, int):
                if abs(item) > MAX_INTEGER:
                    return "an integer of more than 64 bits"
            elif isinstance(item, list):
                deeper.extend(item[: MAX_VALUES + 1])
            elif isinstance(item, dict):
                for key in list(item)[: MAX_VALUES + 1]:
                    deeper += [key, item[key]] if isinstance(key, str) else [_NOT_JSON]
            elif item is not None:
                return "something that is not JSON"
        if not deeper:
            return None
        level = deeper
    return f"values nested more than {MAX_DEPTH} deep"


_NOT_JSON = object()


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def printable(text: Any) -> str:
    """A name that is safe in a one-line message: no control characters, no lone surrogates, bounded."""
    clean = "".join(character if character.isprintable() else " " for character in str(text)[:MAX_NAME])
    return " ".join(clean.split()) or "?"


def _refuse_constant(name: str) -> None:
    raise WorkflowError(f"The workflow holds the number {name}, which is not JSON; set it to a finite value.")
