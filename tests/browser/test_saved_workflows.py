"""What the exporter makes of workflow files is what the editor itself sends when Run is pressed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from comfyui_pocketvideo.pocketvideo.export.editor import to_prompt
from comfyui_pocketvideo.pocketvideo.export.editor_values import layouts

from unit.export import editors

from .editor import Editor

# ComfyUI's own subgraphs: nested, with values on their outside in the older and the newer manner.
BLUEPRINTS = (
    "Image to Video (Wan 2.2)",
    "Image to Video (LTX-2.3)",
    "Text to Video (LTX-2.3)",
    "First-Last-Frame to Video (LTX-2.3)",
    "Canny to Video (LTX 2.0)",
    "Video Inpainting (Wan2.1 VACE)",
)
# Their page scripts draw widgets that no definition lists; no device runs them.
DRAWN_BY_SCRIPTS = ("CustomCombo", "CurveEditor")


def bypassed() -> dict[str, Any]:
    workflow = editors.text_to_video()
    passed = editors.node(40, "ModelSamplingSD3", {"model": ("MODEL", None)}, ["MODEL"], mode=4)
    passed["widgets_values"] = [3]
    editors.insert(workflow, 3, passed)
    return editors.insert(workflow, 9, editors.node(42, "Reroute", {"": ("*", None)}, ["*"]))


def muted() -> dict[str, Any]:
    workflow = editors.text_to_video()
    editors.find(workflow, editors.DECODE)["mode"] = 2
    return workflow


def primitives() -> dict[str, Any]:
    workflow = editors.text_to_video()
    editors.find(workflow, editors.POSITIVE)["widgets_values"] = ["a {red} ring // really\n/* and */ spins"]
    number = editors.node(41, "PrimitiveNode", {}, ["INT"], widgets_values=[11, "fixed"])
    number["outputs"][0]["widget"] = {"name": "steps"}
    editors.widget_input(workflow, editors.SAMPLER, "steps", "INT", number)
    real = editors.node(43, "PrimitiveFloat", {}, ["FLOAT"], widgets_values=[2.5])
    editors.widget_input(workflow, editors.SAMPLER, "cfg", "FLOAT", real)
    return workflow


def older_subgraph() -> dict[str, Any]:
    shown = [["-1", "text"], ["-1", "steps"], ["5", "cfg"]]
    return editors.with_subgraph(
        widgets_values=["a blue star spins", 9, 6.5], properties={"proxyWidgets": shown}
    )


MADE: tuple[Callable[[], dict[str, Any]], ...] = (
    editors.text_to_video,
    editors.with_subgraph,
    older_subgraph,
    bypassed,
    muted,
    primitives,
)


def test_the_exporter_reads_workflow_files_as_the_editor_does(editor: Editor) -> None:
    folder = editor.host.paths.comfyui / "blueprints"
    files = [json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in BLUEPRINTS]
    for name, workflow in zip(
        [*BLUEPRINTS, *(make.__name__ for make in MADE)],
        [*files, *(editors.settled(make()) for make in MADE)],
        strict=True,
    ):
        theirs, ours = editor.prompt_of(workflow), to_prompt(workflow)

        assert ours.keys() == theirs.keys(), name
        for key, node in theirs.items():
            assert ours[key]["class_type"] == node["class_type"], (name, key)
            if node["class_type"] in DRAWN_BY_SCRIPTS:
                continue
            assert node["class_type"] in layouts(), (name, key)
            assert ours[key]["inputs"] == node["inputs"], (name, key)
