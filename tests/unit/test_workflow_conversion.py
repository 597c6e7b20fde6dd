"""The converter from the editor's workflow files to prompts, on files written as the editor writes them."""

from __future__ import annotations

import pytest

from host.workflow import WorkflowError, nodes_of, to_prompt

DEFINITIONS = {
    "Source": {
        "display_name": "Source",
        "input": {
            "required": {
                "seed": ["INT", {"control_after_generate": True}],
                "mode": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                        "options": [
                            {"key": "plain", "inputs": {"required": {}}},
                            {"key": "custom", "inputs": {"required": {"crf": ["FLOAT", {}]}}},
                        ]
                    },
                ],
                "image": [["a.png", "b.png"], {"image_upload": True}],
            },
            "optional": {"note": ["STRING", {}]},
        },
        "input_order": {"required": ["seed", "mode", "image"], "optional": ["note"]},
    },
    "Filter": {"input": {"required": {"image": ["IMAGE"], "amount": ["FLOAT", {}]}}},
    "Sink": {"input": {"required": {"image": ["IMAGE", {}]}}},
}


def source(**changes: object) -> dict:
    values = [7, "randomize", "custom", 23.0, "b.png", "image", "hello"]
    return {
        "id": 1,
        "type": "Source",
        "widgets_values": values,
        "outputs": [{"type": "IMAGE"}],
        **changes,
    }


def chain(*, filter_mode: int = 0, middle: str = "Filter") -> dict:
    return {
        "nodes": [
            source(),
            {
                "id": 2,
                "type": middle,
                "mode": filter_mode,
                "title": "Soften",
                "widgets_values": [0.5],
                "inputs": [{"name": "image", "type": "IMAGE", "link": 10}],
                "outputs": [{"type": "IMAGE"}],
            },
            {"id": 3, "type": "Sink", "inputs": [{"name": "image", "type": "IMAGE", "link": 11}]},
            {"id": 4, "type": "MarkdownNote", "widgets_values": ["read me"]},
        ],
        "links": [[10, 1, 0, 2, 0, "IMAGE"], [11, 2, 0, 3, 0, "IMAGE"]],
    }


def test_values_find_their_names_past_seed_controls_nested_choices_and_upload_buttons() -> None:
    prompt = to_prompt({"nodes": [source()], "links": []}, DEFINITIONS)

    assert prompt["1"]["inputs"] == {
        "seed": 7,
        "mode": "custom",
        "mode.crf": 23.0,
        "image": "b.png",
        "note": "hello",
    }
    assert prompt["1"]["_meta"] == {"title": "Source"}


def test_links_and_titles_are_kept_and_notes_are_not_sent() -> None:
    prompt = to_prompt(chain(), DEFINITIONS)

    assert list(prompt) == ["1", "2", "3"]
    assert prompt["2"]["inputs"] == {"amount": 0.5, "image": ["1", 0]}
    assert prompt["2"]["_meta"] == {"title": "Soften"}
    assert prompt["3"]["inputs"] == {"image": ["2", 0]}
    assert nodes_of(prompt, "Filter") == ["2"]


@pytest.mark.parametrize(
    "workflow", [chain(filter_mode=4), chain(middle="Reroute")], ids=["bypass", "reroute"]
)
def test_what_passes_through_is_left_out(workflow: dict) -> None:
    assert to_prompt(workflow, DEFINITIONS)["3"]["inputs"] == {"image": ["1", 0]}


def test_a_muted_node_takes_its_links_with_it() -> None:
    assert to_prompt(chain(filter_mode=2), DEFINITIONS)["3"]["inputs"] == {}


@pytest.mark.parametrize(
    ("workflow", "sentence"),
    [
        ({"nodes": [source(type="Gone")], "links": []}, "Node 1 is a Gone, which this ComfyUI does not have"),
        ({"nodes": [source(widgets_values=[7])], "links": []}, "saves no value for mode"),
        ({"nodes": [source(widgets_values=[7, "fixed", "x"])], "links": []}, "no choice 'x' for mode"),
        ({"nodes": [], "links": [], "definitions": {"subgraphs": [{}]}}, "expand them first"),
    ],
)
def test_what_cannot_be_converted_is_named(workflow: dict, sentence: str) -> None:
    with pytest.raises(WorkflowError, match=sentence):
        to_prompt(workflow, DEFINITIONS)
