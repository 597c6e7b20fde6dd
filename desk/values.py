"""Which widgets a device's inputs came from, and how their values go back into the workflow.

Found by trial instead of by a table of its own: a widget's value is changed, the workflow compiled again, and
the plan says which input moved. So this knows exactly what the compiler knows, for nodes of today and later.
"""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..pocketvideo.export import ExportError, Plan, WorkflowError
from ..pocketvideo.export.editor import to_prompt

log = logging.getLogger(__name__)

Prompt = dict[str, Any]
Place = list[str]  # [node id, widget name]
Compile = Callable[[Prompt], Plan]
# A workflow with more equal values than this is not searched for longer than a moment.
MAX_TRIALS = 64


def input_places(prompt: Prompt, plan: Plan, compile_prompt: Compile) -> dict[str, list[Place]]:
    """The widgets `[node, name]` of each input of a plan; an input without any is left out.

    Photos have none: the device's own photo is no file of the desk.
    """
    found: dict[str, list[Place]] = {}
    for name, spec in plan.inputs.items():
        if spec["type"] == "image":
            continue
        for probe in _probes(spec):
            places = _places_of(prompt, plan, compile_prompt, name, spec, probe)
            if places:
                found[name] = places
                break
    return found


def with_values(prompt: Prompt, places: Mapping[str, list[Place]], values: Mapping[str, Any]) -> Prompt:
    """The prompt with a device's values in the widgets that they came from; others are passed over."""
    made = copy.deepcopy(prompt)
    for name, value in values.items():
        for node_id, widget in places.get(name, []):
            inputs = made.get(node_id, {}).get("inputs", {})
            if widget in inputs:
                inputs[widget] = _as_was(inputs[widget], value)
    return made


def workflow_with(workflow: dict[str, Any], before: Prompt, after: Prompt) -> dict[str, Any] | None:
    """The editor's workflow that gives the prompt `after` where it gave `before`; None if none was found."""
    made = copy.deepcopy(workflow)
    for node_id, node in after.items():
        for widget, value in node.get("inputs", {}).items():
            old = before[node_id]["inputs"].get(widget)
            if value != old and not _set_in_editor(made, node_id, widget, old, value):
                log.warning("The workflow's widget %s of node %s was not found.", widget, node_id)
                return None
    return made


def _places_of(
    prompt: Prompt, plan: Plan, compile_prompt: Compile, name: str, spec: Mapping[str, Any], probe: Any
) -> list[Place]:
    moved = []
    for place in _literals(prompt, plan, spec["default"]):
        changed = _compiled(prompt, [place], probe, compile_prompt)
        if changed is not None and _moved(changed, plan, name, probe):
            moved.append(place)
    whole = _compiled(prompt, moved, probe, compile_prompt) if moved else None
    # Together they have to move this input and add none: then the device's value means all of them.
    fits = whole is not None and set(whole.inputs) == set(plan.inputs)
    return moved if fits and whole is not None and whole.inputs[name]["default"] == probe else []


def _literals(prompt: Prompt, plan: Plan, default: Any) -> list[Place]:
    """Widgets of the compiled nodes that hold this value."""
    found = [
        [node_id, widget]
        for node_id in plan.workflow
        for widget, value in prompt.get(node_id, {}).get("inputs", {}).items()
        if _same(value, default)
    ]
    return found[:MAX_TRIALS]


def _moved(changed: Plan, plan: Plan, name: str, probe: Any) -> bool:
    """Whether this input, or a new one that split off it, has the probe's value now."""
    return any(
        spec["default"] == probe and (other == name or other not in plan.inputs)
        for other, spec in changed.inputs.items()
    )


def _compiled(prompt: Prompt, places: list[Place], probe: Any, compile_prompt: Compile) -> Plan | None:
    try:
        return compile_prompt(with_values(prompt, {"": places}, {"": probe}))
    except (WorkflowError, ExportError):
        return None


def _probes(spec: Mapping[str, Any]) -> Iterator[Any]:
    """Other values that an input may take."""
    default = spec["default"]
    if spec["type"] == "text":
        yield f"{default} ."[: spec["max_length"]]
    elif spec["type"] == "seed":
        yield str(int(default) ^ 1)
    else:
        step = 1 if spec["type"] == "integer" else 0.125
        for value in (default + step, default - step):
            if spec["minimum"] <= value <= spec["maximum"]:
                yield value


def _same(value: Any, default: Any) -> bool:
    """Equal as widgets are: a seed is a text in a plan and a number in a node, 6 is 6.0, True is not 1."""
    if isinstance(value, (bool, list, dict)) or value is None:
        return False
    if isinstance(value, str) or isinstance(default, bool):
        return bool(value == default)
    return str(value) == default if isinstance(default, str) else bool(value == default)


def _as_was(old: Any, value: Any) -> Any:
    """A device's value in the type that the widget has: seeds travel as text."""
    if isinstance(old, bool):
        return old
    try:
        if isinstance(old, int):
            # JavaScript writes 4.0 as 4: a widget of whole numbers cannot be told from one of any.
            return value if isinstance(value, float) and math.isfinite(value) and value % 1 else int(value)
        if isinstance(old, float):
            return float(value)
    except (TypeError, ValueError):
        return old
    return value if isinstance(value, str) else old


def _set_in_editor(workflow: dict[str, Any], node_id: str, widget: str, old: Any, value: Any) -> bool:
    """Set the value in the place of the editor's file that this widget reads; in place."""
    for holder, key in list(_held(workflow, old))[:MAX_TRIALS]:
        holder[key] = value
        try:
            if to_prompt(workflow)[node_id]["inputs"].get(widget) == value:
                return True
        except (WorkflowError, KeyError):
            pass
        holder[key] = old
    return False


def _held(workflow: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place among the saved widget values that holds this value, outermost graph first."""
    definitions = workflow.get("definitions")
    subgraphs = definitions.get("subgraphs", []) if isinstance(definitions, dict) else []
    for graph in [workflow, *(graph for graph in subgraphs if isinstance(graph, dict))]:
        nodes = graph.get("nodes")
        for node in nodes if isinstance(nodes, list) else []:
            values = node.get("widgets_values") if isinstance(node, dict) else None
            pairs = (
                values.items()
                if isinstance(values, dict)
                else enumerate(values)
                if isinstance(values, list)
                else ()
            )
            for key, held in list(pairs):
                if json.dumps(held) == json.dumps(value):
                    yield values, key
