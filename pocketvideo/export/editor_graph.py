"""The editor's workflow file as checked data: nodes, sockets, links and subgraph definitions.

This is the format in which people share workflows ("Save", and what a picture or video carries), version 0.4
(links are lists) and 1 (links are objects). It is hostile input: only the fields that are known are read, and
each is checked where it is read. Nothing here follows a link.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import WorkflowError
from .prompt import MAX_INPUTS, MAX_NAME, MAX_NODES, printable

MAX_LINKS = 65536
# The places in a subgraph where its inputs come in and its outputs leave, as links name them.
INPUT_NODE, OUTPUT_NODE = "-10", "-20"
ANY = "*"


@dataclass(frozen=True)
class Socket:
    """An input of a node. `link` is the id of the link that ends in it, `widget` the widget behind it."""

    name: str
    type: str
    link: str | None
    widget: str | None


@dataclass(frozen=True)
class EditorNode:
    """One node. `mode` is litegraph's (2 muted, 4 bypassed), `outputs` the types of its outputs.

    `values` is what its widgets hold: a list in the order of the widgets, or an object by name.
    """

    id: str
    type: str
    title: str | None
    mode: int
    inputs: tuple[Socket, ...]
    outputs: tuple[str, ...]
    values: list[Any] | dict[str, Any]
    properties: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How error messages name this node."""
        return f'"{self.title or self.type}" (node {self.id}, {self.type})'


@dataclass(frozen=True)
class Edge:
    """A link: where it begins and where it ends."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True)
class Port:
    """An input or output of a subgraph, and the ids of the links inside that it is connected to."""

    name: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """The workflow itself, or the definition of a subgraph, which alone has ports."""

    name: str
    nodes: Mapping[str, EditorNode]
    links: Mapping[str, Edge]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()


def is_editor_format(workflow: Any) -> bool:
    """Whether this JSON is a workflow as the editor saves it, rather than a prompt in API format."""
    return isinstance(workflow, dict) and isinstance(workflow.get("nodes"), list)


def read_graph(raw: Mapping[str, Any], name: str = "The workflow") -> Graph:
    """Check one graph. Raises `WorkflowError` naming the node, or the graph, and what is wrong."""
    raw_nodes, raw_links = raw.get("nodes"), raw.get("links", [])
    if not isinstance(raw_nodes, list):
        raise WorkflowError(f"{name} has no list of nodes; save it again in ComfyUI.")
    if len(raw_nodes) > MAX_NODES:
        raise WorkflowError(
            f"{name} has {len(raw_nodes)} nodes, more than the {MAX_NODES} that can be compiled; split it."
        )
    nodes: dict[str, EditorNode] = {}
    for item in raw_nodes:
        node = _read_node(item, name)
        if node.id in nodes:
            raise WorkflowError(f"{name} has two nodes with the id {node.id}; save it again in ComfyUI.")
        nodes[node.id] = node
    return Graph(
        name,
        nodes,
        _read_links(raw_links, name),
        _read_ports(raw.get("inputs"), name),
        _read_ports(raw.get("outputs"), name),
    )


def subgraph_definitions(workflow: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The subgraph definitions of a workflow by id, not read yet: unused ones need not be sound."""
    holder = workflow.get("definitions")
    items = holder.get("subgraphs") if isinstance(holder, dict) else None
    found: dict[str, Mapping[str, Any]] = {}
    for item in items if isinstance(items, list) else ():
        key = _identifier(item.get("id")) if isinstance(item, dict) else None
        if key is not None:
            found[key] = item
    return found


def definition_name(raw: Mapping[str, Any]) -> str:
    """How error messages name a subgraph definition."""
    return f'The subgraph "{printable(name if isinstance(name := raw.get("name"), str) else "?")}"'


def _read_node(raw: Any, where: str) -> EditorNode:
    key = _identifier(raw.get("id")) if isinstance(raw, dict) else None
    if key is None:
        raise WorkflowError(f"{where} has a node without an id; save it again in ComfyUI.")
    kind, mode = raw.get("type"), raw.get("mode", 0)
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_NAME or not kind.isprintable():
        raise WorkflowError(f"{where} has a node {key} without a type; save it again in ComfyUI.")
    inputs, outputs = raw.get("inputs") or [], raw.get("outputs") or []
    for sockets in (inputs, outputs):
        if not isinstance(sockets, list) or len(sockets) > MAX_INPUTS:
            raise WorkflowError(
                f"{where} has a node {key} ({kind}) whose sockets are no list of at most {MAX_INPUTS}; "
                "save it again in ComfyUI."
            )
    title, values, properties = raw.get("title"), raw.get("widgets_values"), raw.get("properties")
    return EditorNode(
        key,
        kind,
        printable(title) if isinstance(title, str) and title.strip() else None,
        mode if isinstance(mode, int) else 0,
        tuple(_read_socket(item) for item in inputs),
        tuple(_type(item.get("type") if isinstance(item, dict) else None) for item in outputs),
        values if isinstance(values, (list, dict)) else [],
        properties if isinstance(properties, dict) else {},
    )


def _read_socket(raw: Any) -> Socket:
    if not isinstance(raw, dict):
        return Socket("", ANY, None, None)
    name, widget = raw.get("name"), raw.get("widget")
    behind = widget.get("name") if isinstance(widget, dict) else None
    return Socket(
        name if isinstance(name, str) else "",
        _type(raw.get("type")),
        _identifier(raw.get("link")),
        behind if isinstance(behind, str) else None,
    )


def _read_links(raw: Any, where: str) -> dict[str, Edge]:
    if isinstance(raw, dict):
        raw = list(raw.values())
    if not isinstance(raw, list) or len(raw) > MAX_LINKS:
        raise WorkflowError(f"{where} has no list of at most {MAX_LINKS} links; save it again in ComfyUI.")
    links: dict[str, Edge] = {}
    for item in raw:
        if item is None:
            continue
        edge = _read_link(item)
        if edge is None:
            raise WorkflowError(f"{where} has a link that names no two sockets; save it again in ComfyUI.")
        links[edge[0]] = edge[1]
    return links


def _read_link(raw: Any) -> tuple[str, Edge] | None:
    if isinstance(raw, dict):
        raw = [raw.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
    if not isinstance(raw, list) or len(raw) < 5:
        return None
    key, origin, target = _identifier(raw[0]), _identifier(raw[1]), _identifier(raw[3])
    leaves, arrives = _slot(raw[2]), _slot(raw[4])
    if key is None or origin is None or target is None or leaves is None or arrives is None:
        return None
    return key, Edge(origin, leaves, target, arrives)


def _read_ports(raw: Any, where: str) -> tuple[Port, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list) or len(raw) > MAX_INPUTS:
        raise WorkflowError(f"{where} has no list of at most {MAX_INPUTS} inputs and outputs; save it again.")
    ports = []
    for item in raw:
        fields = item if isinstance(item, dict) else {}
        name, links = fields.get("name"), fields.get("linkIds")
        if not isinstance(links, list) or len(links) > MAX_LINKS:
            links = []
        ids = tuple(key for key in map(_identifier, links) if key is not None)
        ports.append(Port(name if isinstance(name, str) else "", ids))
    return tuple(ports)


def _identifier(value: Any) -> str | None:
    """An id as text: the editor writes whole numbers, or texts. None where it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else None
    if isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable():
        return value
    return None


def _slot(value: Any) -> int | None:
    """The number of a socket; None where it is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < MAX_INPUTS else None


def _type(value: Any) -> str:
    """A socket's type; litegraph writes `*`, an empty text or 0 where anything may be linked."""
    return value if isinstance(value, str) and value else ANY
