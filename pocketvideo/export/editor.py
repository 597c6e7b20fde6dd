"""From the workflow as the editor saves it to the prompt in API format: what pressing Run does in a browser.

Follows `graphToPrompt` and `ExecutableNodeDTO` of ComfyUI's frontend 1.47: subgraphs are expanded (a node in
them is called `12:5`), notes and reroutes are left out, a muted node takes its links with it, a bypassed one
passes on the input whose type fits, and a primitive's value stands in the node that it is linked to.

A workflow is hostile input (T9). Links are followed in a loop and not by recursion, and nodes, depth and hops
are bounded, so that no file can hang or exhaust the compiler.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .editor_graph import (
    ANY,
    INPUT_NODE,
    EditorNode,
    Graph,
    Port,
    definition_name,
    is_editor_format,
    read_graph,
    subgraph_definitions,
)
from .editor_values import layouts, widget_values
from .errors import WorkflowError
from .prompt import MAX_NODES

MUTED, BYPASSED = 2, 4
NOTES = frozenset({"Note", "MarkdownNote"})
REROUTE = "Reroute"
PRIMITIVE = "PrimitiveNode"
MAX_NESTING = 12
MAX_HOPS = 500_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def to_prompt(workflow: Any) -> dict[str, Any]:
    """The prompt in API format of a workflow in the editor's format.

    Raises:
        WorkflowError: the file is not a workflow, or holds what cannot be converted; the message names the
            node and says why.
    """
    if not is_editor_format(workflow):
        raise WorkflowError('This is not a workflow that ComfyUI saved; use "Save" or "Export (API)" there.')
    return _Conversion(workflow).prompt()


@dataclass(eq=False)
class _Scope:
    """One place where a graph stands: the workflow itself, or one node that is a subgraph.

    `port_values` are values that the node gives its inputs, `inner_values` those that it gives to widgets
    inside that are no inputs, by node and widget.
    """

    graph: Graph
    path: tuple[str, ...] = ()
    parent: "_Scope | None" = None
    host: EditorNode | None = None
    children: dict[str, "_Scope"] = field(default_factory=dict)
    port_values: dict[str, Any] = field(default_factory=dict)
    inner_values: dict[tuple[str, str], Any] = field(default_factory=dict)

    def execution_id(self, node: EditorNode) -> str:
        return ":".join([*self.path, node.id])


@dataclass(frozen=True)
class _Output:
    """Where a link really comes from."""

    node: str
    slot: int


@dataclass(frozen=True)
class _Literal:
    """A value that came along a link: a primitive's, or one set on the outside of a subgraph."""

    value: Any


@dataclass(frozen=True)
class _Muted:
    """A link that comes from a muted node, which brings nothing."""

    label: str


class _Conversion:
    def __init__(self, workflow: Mapping[str, Any]) -> None:
        self._definitions = subgraph_definitions(workflow)
        self._read: dict[str, Graph] = {}
        self._values: dict[int, dict[str, Any]] = {}
        self._hops = 0
        self._scopes: list[_Scope] = []
        self._expand(_Scope(read_graph(workflow)))

    def prompt(self) -> dict[str, Any]:
        """Every node that would run, by its id."""
        made: dict[str, Any] = {}
        for scope in self._scopes:
            for node in scope.graph.nodes.values():
                if self._runs(node):
                    made[scope.execution_id(node)] = self._emit(scope, node)
        return made

    def _runs(self, node: EditorNode) -> bool:
        if node.mode in (MUTED, BYPASSED) or node.type in NOTES or node.type in (REROUTE, PRIMITIVE):
            return False
        return node.type not in self._definitions

    def _emit(self, scope: _Scope, node: EditorNode) -> dict[str, Any]:
        if _UUID.fullmatch(node.type):
            raise WorkflowError(
                f"Node {node.label} is a subgraph that the workflow does not define; save it again."
            )
        inputs = {name: _wrapped(value) for name, value in self._own_values(scope, node).items()}
        muted: dict[str, str] = {}
        for slot, socket in enumerate(node.inputs):
            source = self._source(scope, node, slot)
            if isinstance(source, _Muted):
                muted[socket.name] = source.label
            if isinstance(source, _Output):
                inputs[socket.name] = [source.node, source.slot]
            elif isinstance(source, _Literal):
                inputs[socket.name] = _wrapped(source.value)
        known = layouts().get(node.type)
        title = node.title or (known["title"] if known else node.type)
        meta = {"title": title, "muted": muted} if muted else {"title": title}
        return {"class_type": node.type, "inputs": inputs, "_meta": meta}

    def _expand(self, root: _Scope) -> None:
        """Find every place where a graph stands, outermost first."""
        waiting, count = [root], 0
        while waiting:
            scope = waiting.pop()
            self._scopes.append(scope)
            count += len(scope.graph.nodes)
            if count > MAX_NODES:
                raise WorkflowError(
                    f"The workflow has more than {MAX_NODES} nodes once its subgraphs are expanded; split it."
                )
            inner = [
                self._inside(scope, node)
                for node in scope.graph.nodes.values()
                if node.type in self._definitions and node.mode not in (MUTED, BYPASSED)
            ]
            scope.children = {child.host.id: child for child in inner if child.host is not None}
            waiting.extend(reversed(inner))

    def _inside(self, scope: _Scope, node: EditorNode) -> _Scope:
        above: _Scope | None = scope
        while above is not None:
            if above.host is not None and above.host.type == node.type:
                raise WorkflowError(f"Node {node.label} is a subgraph that contains itself; remove it.")
            above = above.parent
        if len(scope.path) >= MAX_NESTING:
            raise WorkflowError(
                f"Node {node.label} is nested in more than {MAX_NESTING} subgraphs; unpack some."
            )
        child = _Scope(self._definition(node.type), (*scope.path, node.id), scope, node)
        self._promote(child)
        return child

    def _definition(self, key: str) -> Graph:
        if key not in self._read:
            raw = self._definitions[key]
            self._read[key] = read_graph(raw, definition_name(raw))
        return self._read[key]

    def _promote(self, scope: _Scope) -> None:
        """Give a subgraph the values that are set on its outside.

        Older editors list the widgets that are shown outside in `proxyWidgets`, in the order of the values;
        newer ones have an input for each, and the values follow the inputs.
        """
        host = scope.host
        if host is None or not isinstance(host.values, list):
            return
        shown = host.properties.get("proxyWidgets")
        if isinstance(shown, list) and shown:
            for entry, value in zip(shown, host.values, strict=False):
                pair = isinstance(entry, list) and len(entry) >= 2 and all(isinstance(e, str) for e in entry)
                if pair and value is not None:
                    self._set_inside(scope, entry[0], entry[1], value)
            return
        ports = {port.name: port for port in scope.graph.inputs}
        promoted = [
            socket.name
            for socket in host.inputs
            if socket.name in ports and self._first_widget(scope.graph, ports[socket.name], 0) is not None
        ]
        for name, value in zip(promoted, host.values, strict=False):
            if value is not None:
                scope.port_values[name] = value

    def _set_inside(self, scope: _Scope, node_id: str, name: str, value: Any) -> None:
        if node_id == "-1":
            scope.port_values[name] = value
            return
        for port in scope.graph.inputs:
            for key in port.links:
                edge = scope.graph.links.get(key)
                target = scope.graph.nodes.get(edge.target) if edge and edge.target == node_id else None
                if edge is None or target is None or edge.target_slot >= len(target.inputs):
                    continue
                socket = target.inputs[edge.target_slot]
                if name in (socket.widget, socket.name):
                    scope.port_values[port.name] = value
                    return
        scope.inner_values[node_id, name] = value

    def _first_widget(self, graph: Graph, port: Port, nested: int) -> tuple[EditorNode, str] | None:
        """The node in a subgraph, and its input, whose widget an input of the subgraph stands for."""
        if nested > MAX_NESTING:
            return None
        for key in port.links:
            self._hop(port.name)
            edge = graph.links.get(key)
            node = graph.nodes.get(edge.target) if edge else None
            if edge is None or node is None or edge.target_slot >= len(node.inputs):
                continue
            socket = node.inputs[edge.target_slot]
            if node.type in self._definitions:
                inner = self._definition(node.type)
                behind = next((port for port in inner.inputs if port.name == socket.name), None)
                if behind is not None and self._first_widget(inner, behind, nested + 1) is not None:
                    return node, socket.name
            elif socket.widget is not None:
                return node, socket.widget
        return None

    def _port_value(self, scope: _Scope, port: Port) -> _Literal | None:
        """What an input of a subgraph holds that nothing is linked to: its value, or its first widget's."""
        while True:
            if port.name in scope.port_values:
                return _Literal(scope.port_values[port.name])
            found = self._first_widget(scope.graph, port, 0)
            if found is None:
                return None
            node, name = found
            child = scope.children.get(node.id)
            if child is None:
                values = self._own_values(scope, node)
                return _Literal(values[name]) if name in values else None
            if (node.id, name) in scope.inner_values:
                return _Literal(scope.inner_values[node.id, name])
            scope, port = child, next(port for port in child.graph.inputs if port.name == name)

    def _own_values(self, scope: _Scope, node: EditorNode) -> dict[str, Any]:
        """A node's widget values, with what is set on the outside of the subgraph that it stands in."""
        if id(node) not in self._values:
            self._values[id(node)] = widget_values(node)
        values = self._values[id(node)]
        set_outside = {key[1]: value for key, value in scope.inner_values.items() if key[0] == node.id}
        return values | {name: value for name, value in set_outside.items() if name in values}

    def _source(self, scope: _Scope, node: EditorNode, slot: int) -> _Output | _Literal | _Muted | None:
        """What really arrives at an input; None where nothing does."""
        start, seen = node, set[tuple[tuple[str, ...], str, bool, int]]()
        entering, wanted = True, ""
        while True:
            self._hop(start.label)
            here = (scope.path, node.id, entering, slot)
            if here in seen:
                raise WorkflowError(
                    f"What is linked to node {start.label} leads back to itself through node {node.label}; "
                    "remove that link to break the cycle."
                )
            seen.add(here)
            if entering:
                if slot >= len(node.inputs) or node.inputs[slot].link is None:
                    return None
                socket = node.inputs[slot]
                edge = scope.graph.links.get(socket.link or "")
                if edge is None:
                    # The editor drops links that it cannot find when it opens a file.
                    return None
                wanted = wanted or socket.type
                origin, slot = edge.origin, edge.origin_slot
            else:
                if node.type == PRIMITIVE:
                    return self._primitive(scope, node)
                if node.mode == MUTED:
                    return _Muted(node.label)
                if node.type in NOTES:
                    return None
                if node.mode == BYPASSED:
                    passed = bypass_input(node, slot, wanted)
                    if passed is None:
                        return None
                    slot, entering, wanted = passed, True, ""
                    continue
                if node.type == REROUTE:
                    slot, entering = 0, True
                    continue
                child = scope.children.get(node.id)
                if child is None:
                    return _Output(scope.execution_id(node), slot)
                scope = child
                outputs = scope.graph.outputs
                inside = next(iter(outputs[slot].links), "") if slot < len(outputs) else ""
                edge = scope.graph.links.get(inside)
                if edge is None:
                    return None
                origin, slot = edge.origin, edge.origin_slot
            entering = False
            parent, host = scope.parent, scope.host
            if origin == INPUT_NODE and parent is not None and host is not None:
                if slot >= len(scope.graph.inputs):
                    return None
                port = scope.graph.inputs[slot]
                outside = next((i for i, s in enumerate(host.inputs) if s.name == port.name), None)
                if outside is None or host.inputs[outside].link is None:
                    return self._port_value(scope, port)
                scope, node, slot, entering, wanted = parent, host, outside, True, ""
                continue
            if origin not in scope.graph.nodes:
                return None
            node = scope.graph.nodes[origin]

    @staticmethod
    def _primitive(scope: _Scope, node: EditorNode) -> _Literal | None:
        if (node.id, "value") in scope.inner_values:
            return _Literal(scope.inner_values[node.id, "value"])
        values = node.values if isinstance(node.values, list) else list(node.values.values())
        return _Literal(values[0]) if values else None

    def _hop(self, what: str) -> None:
        self._hops += 1
        if self._hops > MAX_HOPS:
            raise WorkflowError(
                f"The links of the workflow are too long to follow (at {what}); remove reroutes."
            )


def bypass_input(node: EditorNode, slot: int, wanted: str) -> int | None:
    """The input that a bypassed node passes on at an output, by the editor's rules; None where none fits."""
    if slot >= len(node.outputs):
        return None
    if wanted == ANY:
        return (slot if slot < len(node.inputs) else 0) if node.inputs else None
    made = node.outputs[slot]

    def fits(kind: str) -> bool:
        return _connects(kind, made) and _connects(kind, wanted)

    kinds = [socket.type for socket in node.inputs]
    if slot < len(kinds) and fits(kinds[slot]):
        return slot
    if wanted in kinds:
        return kinds.index(wanted)
    return next((index for index, kind in enumerate(kinds) if fits(kind)), None)


def _connects(one: str, other: str) -> bool:
    """litegraph's isValidConnection: equal but for case, one of a list, or anything."""
    if ANY in (one, other) or one == other:
        return True
    return not set(one.lower().split(",")).isdisjoint(other.lower().split(","))


def _wrapped(value: Any) -> Any:
    """A list would be read as a link, so the editor sends it in an object."""
    return {"__value__": value} if isinstance(value, list) else value
