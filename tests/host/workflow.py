"""Turns a workflow as the editor saves it into the prompt that ComfyUI's HTTP interface takes.

In the editor's file a node's widget values are a bare list in widget order, and which inputs are widgets is
known only from the node's definition. The editor does this conversion when Run is pressed; this is the same
for code without an editor. A browser test compares the two on the pack's own workflows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

JSON = dict[str, Any]
# Notes are for readers; the editor never sends them.
NOTES = ("Note", "MarkdownNote")
MUTED, BYPASSED = 2, 4
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR")
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
# What the editor puts in a list of values where it drew one more widget than the node defines.
SEED_CONTROLS = ("fixed", "increment", "decrement", "randomize")


class WorkflowError(ValueError):
    """The file is no workflow that this converter can turn into a prompt."""


def load_workflow(path: Path) -> JSON:
    """Read a workflow file in the editor's format."""
    workflow = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(workflow, dict) or "nodes" not in workflow:
        raise WorkflowError(f"{path.name} is not a workflow in the editor's format: it has no list of nodes.")
    return workflow


def to_prompt(workflow: JSON, definitions: JSON) -> JSON:
    """The prompt of a workflow, given the node definitions that `/object_info` serves."""
    if (workflow.get("definitions") or {}).get("subgraphs"):
        raise WorkflowError(
            "The workflow holds subgraphs, which this converter does not open: expand them first."
        )
    nodes: dict[int, JSON] = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    prompt: JSON = {}
    for node in workflow["nodes"]:
        kind = node["type"]
        if kind in NOTES or kind == "Reroute" or node.get("mode", 0) in (MUTED, BYPASSED):
            continue
        if kind not in definitions:
            raise WorkflowError(f"Node {node['id']} is a {kind}, which this ComfyUI does not have.")
        inputs = dict(widget_inputs(node, definitions[kind]))
        for socket in node.get("inputs") or ():
            source = follow(socket.get("link"), nodes, links)
            if source is not None:
                inputs[socket["name"]] = [str(source[0]), source[1]]
        title = node.get("title") or definitions[kind].get("display_name") or kind
        prompt[str(node["id"])] = {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
    return prompt


def follow(
    link: int | None, nodes: dict[int, JSON], links: dict[int, tuple[int, int]]
) -> tuple[int, int] | None:
    """The node and slot that a link really comes from, past reroutes and bypassed nodes; None when muted."""
    if link is None:
        return None
    node_id, slot = links[link]
    node = nodes[node_id]
    if node.get("mode", 0) == MUTED:
        return None
    if node["type"] == "Reroute":
        return follow(node["inputs"][0].get("link"), nodes, links)
    if node.get("mode", 0) == BYPASSED:
        wanted = node["outputs"][slot]["type"]
        for socket in node.get("inputs") or ():
            if socket.get("type") == wanted and socket.get("link") is not None:
                return follow(socket["link"], nodes, links)
        return None
    return node_id, slot


def widget_inputs(node: JSON, definition: JSON) -> Iterator[tuple[str, Any]]:
    """The names and values of a node's widgets, in the order in which the editor draws them."""
    values = node.get("widgets_values") or []
    if isinstance(values, dict):
        yield from values.items()
        return
    left = list(values)
    order = definition.get("input_order", {})
    for group in ("required", "optional"):
        group_inputs = definition.get("input", {}).get(group, {})
        for name in order.get(group, group_inputs):
            yield from take(name, group_inputs[name], left, node)


def take(name: str, specification: Sequence[Any], left: list[Any], node: JSON) -> Iterator[tuple[str, Any]]:
    """Take one input's value off the list, and with it what the editor adds or nests for that input."""
    kind = specification[0]
    options = specification[1] if len(specification) > 1 else {}
    combo = isinstance(kind, list)
    if (not combo and kind not in (*WIDGET_TYPES, DYNAMIC_COMBO)) or options.get("forceInput"):
        return
    if not left:
        raise WorkflowError(f"Node {node['id']} ({node['type']}) saves no value for {name}: save it again.")
    value = left.pop(0)
    yield name, value
    if options.get("control_after_generate") and left and left[0] in SEED_CONTROLS:
        left.pop(0)
    # The button that uploads a picture is a widget, too.
    if (options.get("image_upload") or options.get("video_upload")) and left and left[0] == "image":
        left.pop(0)
    if kind == DYNAMIC_COMBO:
        chosen = next((option for option in options["options"] if option["key"] == value), None)
        if chosen is None:
            raise WorkflowError(f"Node {node['id']} ({node['type']}) has no choice {value!r} for {name}.")
        for group in ("required", "optional"):
            for nested, nested_specification in chosen["inputs"].get(group, {}).items():
                yield from take(f"{name}.{nested}", nested_specification, left, node)


def nodes_of(prompt: JSON, class_type: str) -> list[str]:
    """The ids of a prompt's nodes of one class, in the prompt's order."""
    return [node_id for node_id, node in prompt.items() if node["class_type"] == class_type]
