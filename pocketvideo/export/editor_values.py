"""The values of a node's widgets, by name: the editor saves them as a bare list in the widgets' order.

Which widgets a node type has stands in `widgets.json`, which `tools/widget_layouts.py` writes from what a
real ComfyUI says of its nodes and of ours. A type that is not there is read by the names that newer editors
save beside the sockets.
"""

import functools
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .editor_graph import EditorNode
from .prompt import MAX_TEXT

log = logging.getLogger(__name__)

# What the editor saves after a value that it can change by itself after a run.
CONTROLS = ("fixed", "increment", "decrement", "randomize")
# What it saves for the button that uploads a picture.
UPLOAD = "image"
LINE_ENDS = "\n\r\u2028\u2029"
MAX_NESTED = 8


@functools.cache
def layouts() -> Mapping[str, Any]:
    """By node type: `title`, and `widgets` in order, each `{name, default?, control?, upload?, choices?,
    dynamic?}`; `choices` are the further widgets of each choice."""
    text = Path(__file__).with_name("widgets.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def widget_values(node: EditorNode) -> dict[str, Any]:
    """The node's values by widget name. What the file leaves out takes the widget's default."""
    if isinstance(node.values, dict):
        return {key: value for key, value in node.values.items() if isinstance(key, str)}
    layout = layouts().get(node.type)
    left = deque(node.values)
    if layout is not None:
        return dict(_take_all(layout["widgets"], left, node, 0))
    names = [socket.widget for socket in node.inputs if socket.widget is not None]
    return dict(_by_saved_names(names, left))


def first_choices(text: str) -> str:
    """A prompt as the editor sends it: without comments, and one alternative of each `{a|b}`.

    The editor draws one at random at every run. Here it is always the first, so that a workflow compiles to
    the same bundle each time.
    """
    text = _without_comments(text)
    if "{" not in text and "\\" not in text:
        return text
    made: list[str] = []
    depth, skipping, position = 0, 0, 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\" and position < len(text):
            escaped, position = text[position], position + 1
            if not skipping:
                made.append(escaped if escaped in "{}|" else "\\" + escaped)
        elif character == "{":
            depth += 1
        elif character == "}" and depth:
            if skipping == depth:
                skipping = 0
            depth -= 1
        elif character == "|" and depth:
            skipping = skipping or depth
        elif not skipping:
            made.append(character)
    return "".join(made)


def _take_all(
    widgets: list[Mapping[str, Any]], left: deque[Any], node: EditorNode, nested: int
) -> Iterator[tuple[str, Any]]:
    """Take the values of these widgets off the list, and with them what the editor adds for some."""
    for widget in widgets:
        name = widget["name"]
        value = left.popleft() if left else None
        if value is None:
            value = widget.get("default")
        if value is not None:
            yield name, _sent(value, widget, node)
        if left and widget.get("control") and left[0] in CONTROLS:
            left.popleft()
        if left and widget.get("upload") and left[0] == UPLOAD:
            left.popleft()
        if "choices" in widget and isinstance(value, str) and nested < MAX_NESTED:
            yield from _take_all(widget["choices"].get(value, []), left, node, nested + 1)


def _sent(value: Any, widget: Mapping[str, Any], node: EditorNode) -> Any:
    if not widget.get("dynamic") or not isinstance(value, str) or len(value) > MAX_TEXT:
        return value
    sent = first_choices(value)
    if sent != value and "{" in value:
        log.warning("Of the alternatives in %s of node %s the first is taken.", widget["name"], node.label)
    return sent


def _by_saved_names(names: list[str], left: deque[Any]) -> Iterator[tuple[str, Any]]:
    for index, name in enumerate(names):
        if not left:
            return
        yield name, left.popleft()
        surplus = len(left) > len(names) - index - 1
        if surplus and left[0] in CONTROLS:
            left.popleft()


def _without_comments(text: str) -> str:
    """Without `// to the end of the line` and `/* between */`, in one pass over the text."""
    if "/" not in text:
        return text
    made: list[str] = []
    position, block_end = 0, 0
    while True:
        start = text.find("/", position)
        if start < 0 or start + 1 >= len(text):
            made.append(text[position:])
            return "".join(made)
        following, end = text[start + 1], start + 1
        if following == "/":
            end = start + 2
            while end < len(text) and text[end] not in LINE_ENDS:
                end += 1
            made.append(text[position:start])
        elif following == "*" and block_end >= 0:
            block_end = text.find("*/", start + 2)
            if block_end >= 0:
                end = block_end + 2
                made.append(text[position:start])
            else:
                made.append(text[position:end])
        else:
            made.append(text[position:end])
        position = end
