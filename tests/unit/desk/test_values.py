"""A device's values find the widgets that they came from, in the prompt and in the editor's file."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.cli.lookups import FolderLookups
from comfyui_pocketvideo.desk.values import input_places, with_values, workflow_with
from comfyui_pocketvideo.pocketvideo.export import Plan, compile_workflow
from comfyui_pocketvideo.pocketvideo.export.editor import to_prompt

WORKFLOWS = Path(__file__).resolve().parents[3] / "workflows"
LOOKUPS = FolderLookups([], [])


def compile_prompt(prompt: dict[str, Any]) -> Plan:
    return compile_workflow(prompt, None, LOOKUPS)


def workflow(name: str = "quickstart") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def places_in(prompt: dict[str, Any]) -> dict[str, list[str]]:
    """The class and widget of every input's places, as text."""
    found = input_places(prompt, compile_prompt(prompt), compile_prompt)
    return {
        name: sorted(f"{prompt[node]['class_type']}.{widget}" for node, widget in places)
        for name, places in found.items()
    }


def test_every_input_of_the_quickstart_has_its_widget() -> None:
    assert places_in(to_prompt(workflow())) == {
        "prompt": ["CLIPTextEncode.text"],
        "negative_prompt": ["CLIPTextEncode.text"],
        "seed": ["KSampler.seed"],
        "steps": ["KSampler.steps"],
        "guidance": ["KSampler.cfg"],
    }


def test_equal_values_in_other_widgets_are_not_taken_for_the_input() -> None:
    prompt = to_prompt(workflow())
    (sampler,) = [node for node in prompt.values() if node["class_type"] == "KSampler"]
    sampler["inputs"] |= {"seed": 8, "steps": 8, "cfg": 8.0}
    found = places_in(prompt)
    assert found["seed"] == ["KSampler.seed"]
    assert found["steps"] == ["KSampler.steps"]
    assert found["guidance"] == ["KSampler.cfg"]


def test_two_widgets_that_are_one_input_are_both_set() -> None:
    prompt = to_prompt(workflow())
    texts = [key for key, node in prompt.items() if node["class_type"] == "CLIPTextEncode"]
    for key in texts:
        prompt[key]["inputs"]["text"] = "the same"
    plan = compile_prompt(prompt)
    places = input_places(prompt, plan, compile_prompt)
    assert sorted(node for node, _ in places["prompt"]) == sorted(texts)
    changed = with_values(prompt, places, {"prompt": "another"})
    assert {changed[key]["inputs"]["text"] for key in texts} == {"another"}
    assert set(compile_prompt(changed).inputs) == set(plan.inputs)


def test_values_go_back_in_the_widgets_own_types_and_into_the_editors_file() -> None:
    document = workflow()
    untouched = copy.deepcopy(document)
    prompt = to_prompt(document)
    places = input_places(prompt, compile_prompt(prompt), compile_prompt)
    values = {"prompt": "a green star", "seed": str(2**64 - 1), "steps": 3, "guidance": 1.25, "photo": "x"}
    changed = with_values(prompt, places, values)
    made = workflow_with(document, prompt, changed)
    assert made is not None
    assert document == untouched
    plan = compile_prompt(to_prompt(made))
    assert {name: spec["default"] for name, spec in plan.inputs.items()} == {
        "prompt": "a green star",
        "negative_prompt": compile_prompt(prompt).inputs["negative_prompt"]["default"],
        "seed": str(2**64 - 1),
        "steps": 3,
        "guidance": 1.25,
    }
    assert to_prompt(made) == changed


def test_an_editors_file_that_does_not_give_the_prompt_is_not_passed_off_as_it() -> None:
    document = workflow()
    prompt = to_prompt(document)
    places = input_places(prompt, compile_prompt(prompt), compile_prompt)
    changed = with_values(prompt, places, {"prompt": "a green star"})
    for node in document["nodes"]:
        if node["type"] == "CLIPTextEncode":
            node["widgets_values"] = ["{one|of|many}"]
    assert workflow_with(document, prompt, changed) is None


@pytest.mark.parametrize("value", [True, None, ["4", 0], {"a": 1}, "many", float("nan")])
def test_a_value_of_another_type_leaves_the_widget_alone(value: object) -> None:
    prompt = to_prompt(workflow())
    places = input_places(prompt, compile_prompt(prompt), compile_prompt)
    changed = with_values(prompt, places, {"steps": value, "unknown": 5})
    (node,) = [node for node in changed.values() if node["class_type"] == "KSampler"]
    assert type(node["inputs"]["steps"]) is int
