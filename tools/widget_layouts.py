"""Writes `pocketvideo/export/widgets.json`: which widgets each node type has, in the editor's order.

The exporter reads workflow files without a ComfyUI at hand, and there the values of widgets are a bare list.
The table holds ComfyUI's own nodes and this pack's, from what a running ComfyUI serves at `/object_info`:

    python tools/widget_layouts.py http://127.0.0.1:8188
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[1] / "pocketvideo" / "export" / "widgets.json"
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR")
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
# The editor gives an INT of these names the control that changes it after a run, whatever the node says.
SEEDS = ("seed", "noise_seed")
PACK = "comfyui_pocketvideo"


def layouts(object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The table for the node types of ComfyUI itself and of this pack."""
    return {
        name: {"title": node.get("display_name") or name, "widgets": list(_widgets(node))}
        for name, node in sorted(object_info.items())
        if _ours(str(node.get("python_module", "")))
    }


def text(table: Mapping[str, Any]) -> str:
    """The file's text: one node type a line, so that a change shows in a diff."""
    lines = [f"{json.dumps(name)}: {json.dumps(table[name], sort_keys=True)}" for name in sorted(table)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _ours(module: str) -> bool:
    if module.endswith("nodes_model_merging_model_specific"):
        return False  # a thousand sliders, one for every block of every model
    return module == "nodes" or module.startswith("comfy_extras") or module.endswith(f".{PACK}")


def _widgets(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    order = node.get("input_order") or {}
    for group in ("required", "optional"):
        inputs = node.get("input", {}).get(group) or {}
        for name in order.get(group, inputs):
            yield from _widget(name, inputs[name])


def _widget(name: str, specification: list[Any]) -> Iterator[dict[str, Any]]:
    options = specification[1] if len(specification) > 1 and isinstance(specification[1], dict) else {}
    # A socket of several types says which of them its widget is.
    kind = options.get("widgetType") or specification[0]
    combo = isinstance(kind, list)
    if (not combo and kind not in (*WIDGET_TYPES, DYNAMIC_COMBO)) or options.get("forceInput"):
        return
    made: dict[str, Any] = {"name": name}
    if isinstance(options.get("default"), (bool, int, float, str)):
        made["default"] = options["default"]
    if options.get("control_after_generate") or (kind == "INT" and name in SEEDS):
        made["control"] = True
    if options.get("image_upload") or options.get("video_upload"):
        made["upload"] = True
    if options.get("dynamicPrompts"):
        made["dynamic"] = True
    if kind == DYNAMIC_COMBO:
        made["choices"] = {
            option["key"]: [
                nested
                for group in ("required", "optional")
                for inner, inner_specification in (option["inputs"].get(group) or {}).items()
                for nested in _widget(f"{name}.{inner}", inner_specification)
            ]
            for option in options["options"]
        }
    yield made


def main(arguments: list[str] | None = None) -> int:
    """Write the table from the ComfyUI at an address; gives the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", help="where a ComfyUI with this pack runs, or a file with its object_info")
    source = parser.parse_args(arguments).address
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source.rstrip("/") + "/object_info") as answer:
            info = json.load(answer)
    else:
        info = json.loads(Path(source).read_text(encoding="utf-8"))
    table = layouts(info)
    TABLE.write_text(text(table), encoding="utf-8")
    sys.stdout.write(f"{len(table)} node types in {TABLE.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
