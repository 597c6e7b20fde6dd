"""The editor's workflow files become the prompts that pressing Run in a browser would send."""

import json
from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo.export import WorkflowError, compile_workflow, supported_class_types
from comfyui_pocketvideo.pocketvideo.export.editor import to_prompt
from comfyui_pocketvideo.pocketvideo.export.editor_values import first_choices, layouts

from unit.export import editors, prompts
from unit.export.editors import DECODE, LOADER, NEGATIVE, POSITIVE, SAMPLER, SAVE, SIZE, VIDEO

WORKFLOWS = sorted((Path(__file__).parents[3] / "workflows").glob("*.json"))


def compiled(workflow):
    return compile_workflow(workflow, None, prompts.Desk())


def test_a_saved_workflow_compiles_to_the_plan_of_its_prompt():
    from_editor, from_prompt = compiled(editors.text_to_video()), compiled(prompts.text_to_video())

    assert from_editor.inputs["seed"]["default"] == "7"
    assert from_editor.ops == from_prompt.ops
    assert from_editor.workflow[str(SAVE)]["class_type"] == "SaveVideo"


def test_values_find_their_names_past_seed_controls_and_keep_titles():
    prompt = to_prompt(editors.text_to_video())

    assert prompt[str(SAMPLER)] == {
        "class_type": "KSampler",
        "inputs": {
            "seed": 7,
            "steps": 25,
            "cfg": 4,
            "sampler_name": "euler",
            "scheduler": "simple",
            "denoise": 1,
            "model": ["1", 0],
            "positive": ["2", 0],
            "negative": ["3", 0],
            "latent_image": ["4", 0],
        },
        "_meta": {"title": "Sample"},
    }
    assert prompt[str(SIZE)]["_meta"] == {"title": "Empty Pocket Video Latent"}
    assert "20" not in prompt


def test_nested_choices_and_upload_buttons():
    workflow = editors.text_to_video()
    editors.find(workflow, SAVE)["widgets_values"] = ["v", "mp4", "h264", "re-encode", 31.5]
    photo = editors.node(21, "LoadImage", {}, ["IMAGE", "MASK"], widgets_values=["photo.png", "image"])
    workflow["nodes"].append(photo)
    prompt = to_prompt(workflow)

    assert prompt[str(SAVE)]["inputs"] | {"video": None} == {
        "filename_prefix": "v",
        "format": "mp4",
        "codec": "h264",
        "codec.encoding": "re-encode",
        "codec.encoding.crf": 31.5,
        "video": None,
    }
    assert prompt["21"]["inputs"] == {"image": "photo.png"}


def test_a_value_that_the_file_leaves_out_takes_the_widgets_default():
    workflow = editors.text_to_video()
    editors.find(workflow, SAMPLER)["widgets_values"] = [7, "fixed", 25, 4, "euler", "simple"]

    assert to_prompt(workflow)[str(SAMPLER)]["inputs"]["denoise"] == 1.0


def test_an_unknown_node_type_is_read_by_the_names_that_the_editor_saved():
    workflow = editors.text_to_video()
    stranger = editors.node(22, "Stranger", {}, [], widgets_values=[5, "randomize", "x"])
    stranger["inputs"] = [
        {"name": name, "type": "*", "link": None, "widget": {"name": name}} for name in ("count", "word")
    ]
    workflow["nodes"].append(stranger)
    workflow["nodes"].append(editors.node(23, "Other", {}, [], widgets_values={"named": [1, 2]}))
    prompt = to_prompt(workflow)

    assert prompt["22"]["inputs"] == {"count": 5, "word": "x"}
    assert prompt["23"]["inputs"] == {"named": {"__value__": [1, 2]}}


@pytest.mark.parametrize("kind", ["Reroute", "bypassed"])
def test_what_passes_through_is_left_out(kind):
    workflow = editors.text_to_video()
    made = editors.node(40, "Reroute", {"": ("*", None)}, ["*"])
    if kind == "bypassed":
        made = editors.node(40, "ModelSamplingSD3", {"model": ("MODEL", None)}, ["MODEL"], mode=4)
    prompt = to_prompt(editors.insert(workflow, 3, made))

    assert prompt[str(SAMPLER)]["inputs"]["model"] == [str(LOADER), 0]
    assert "40" not in prompt
    assert compiled(workflow).ops == compiled(editors.text_to_video()).ops


def test_a_bypassed_node_passes_on_the_input_of_the_type_that_is_wanted():
    workflow = editors.text_to_video()
    made = editors.node(
        40,
        "PocketVideoImageToVideo",
        {"positive": ("CONDITIONING", None), "negative": ("CONDITIONING", 5), "vae": ("VAE", None)},
        ["CONDITIONING", "CONDITIONING", "LATENT"],
        mode=4,
    )
    editors.insert(workflow, 4, made)
    sampler = editors.find(workflow, SAMPLER)
    workflow["links"] = [item for item in workflow["links"] if item[0] != 5]
    workflow["links"] += [
        [5, NEGATIVE, 0, 40, 1, "CONDITIONING"],
        [50, 40, 1, SAMPLER, 2, "CONDITIONING"],
        [51, 40, 2, SAMPLER, 3, "LATENT"],
    ]
    sampler["inputs"][2]["link"], sampler["inputs"][3]["link"] = 50, 51
    inputs = to_prompt(workflow)[str(SAMPLER)]["inputs"]

    assert inputs["positive"] == [str(POSITIVE), 0]
    assert inputs["negative"] == [str(NEGATIVE), 0]
    assert "latent_image" not in inputs


def test_a_muted_node_takes_its_links_with_it():
    workflow = editors.text_to_video()
    editors.find(workflow, DECODE)["mode"] = 2

    assert "images" not in to_prompt(workflow)[str(VIDEO)]["inputs"]
    with pytest.raises(WorkflowError) as refused:
        compiled(workflow)
    said = str(refused.value)
    assert said.startswith("Input images of node")
    assert f"(node {DECODE}, VAEDecode), which is muted, so that nothing arrives; unmute it" in said
    assert "\n" not in said


def test_the_editors_primitive_becomes_the_value_of_its_widgets():
    workflow = editors.text_to_video()
    primitive = editors.node(41, "PrimitiveNode", {}, ["INT"], widgets_values=[11, "fixed"])
    editors.widget_input(workflow, SAMPLER, "steps", "INT", primitive)

    assert to_prompt(workflow)[str(SAMPLER)]["inputs"]["steps"] == 11
    assert compiled(workflow).inputs["steps"]["default"] == 11


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("PrimitiveInt", 11, "steps"),
        ("PrimitiveFloat", 2.5, "cfg"),
        ("PrimitiveString", "beta", "scheduler"),
        ("PrimitiveStringMultiline", "beta", "scheduler"),
    ],
)
def test_primitive_nodes_give_their_value_to_widgets(kind, value, name):
    workflow = editors.text_to_video()
    editors.widget_input(
        workflow, SAMPLER, name, "*", editors.node(41, kind, {}, ["*"], widgets_values=[value])
    )
    prompt = to_prompt(workflow)
    plain = editors.text_to_video()
    position = {"steps": 2, "cfg": 3, "scheduler": 5}[name]
    editors.find(plain, SAMPLER)["widgets_values"][position] = value

    assert prompt[str(SAMPLER)]["inputs"][name] == ["41", 0]
    assert compiled(workflow).ops == compiled(plain).ops
    assert compiled(workflow).inputs == compiled(plain).inputs


def test_a_primitive_out_of_bounds_names_the_widget():
    workflow = editors.text_to_video()
    editors.widget_input(
        workflow,
        SAMPLER,
        "steps",
        "INT",
        editors.node(41, "PrimitiveInt", {}, ["INT"], widgets_values=[10**6]),
    )
    with pytest.raises(WorkflowError, match='steps of node "Sample"'):
        compiled(workflow)


def test_a_subgraph_is_expanded_with_the_values_set_on_its_outside():
    prompt = to_prompt(editors.with_subgraph())

    assert prompt["30:5"]["inputs"]["steps"] == 9
    assert prompt["30:5"]["inputs"]["model"] == [str(LOADER), 0]
    assert prompt["30:5"]["inputs"]["positive"] == ["30:2", 0]
    assert prompt["30:2"]["inputs"] == {"text": "a blue star spins", "clip": [str(LOADER), 1]}
    assert prompt[str(DECODE)]["inputs"]["samples"] == ["30:5", 0]
    assert "30" not in prompt
    assert compiled(editors.with_subgraph()).inputs["prompt"]["default"] == "a blue star spins"


def test_a_subgraphs_input_without_a_value_keeps_the_widgets_own():
    prompt = to_prompt(editors.with_subgraph(widgets_values=[None]))

    assert prompt["30:2"]["inputs"]["text"] == "a red circle moves left"
    assert prompt["30:5"]["inputs"]["steps"] == 25


def test_values_of_older_editors_follow_the_list_of_shown_widgets():
    shown = [["5", "cfg"], ["-1", "steps"], ["2", "text"], ["5", "control_after_generate"]]
    prompt = to_prompt(
        editors.with_subgraph(widgets_values=[6.5, 3, "green"], properties={"proxyWidgets": shown})
    )

    assert prompt["30:5"]["inputs"]["cfg"] == 6.5
    assert prompt["30:5"]["inputs"]["steps"] == 3
    assert prompt["30:2"]["inputs"]["text"] == "green"


def test_two_places_of_one_subgraph_have_values_of_their_own():
    workflow = editors.with_subgraph()
    twin = json.loads(json.dumps(editors.find(workflow, 30))) | {"id": 31, "widgets_values": ["green", 4]}
    workflow["nodes"].append(twin)
    prompt = to_prompt(workflow)

    assert (prompt["30:5"]["inputs"]["steps"], prompt["31:5"]["inputs"]["steps"]) == (9, 4)


def test_what_is_linked_to_a_subgraph_from_outside_wins_over_its_value():
    workflow = editors.with_subgraph()
    workflow["nodes"].append(editors.node(41, "PrimitiveInt", {}, ["INT"], widgets_values=[3]))
    workflow["links"].append([50, 41, 0, 30, 4, "INT"])
    editors.find(workflow, 30)["inputs"][4]["link"] = 50

    assert to_prompt(workflow)["30:5"]["inputs"]["steps"] == ["41", 0]


def test_subgraphs_in_subgraphs():
    workflow = editors.with_subgraph()
    outer = "00000000-0000-4000-8000-000000000000"
    inner = editors.find(workflow, 30)
    inner["inputs"] = [
        socket | {"link": link} for socket, link in zip(inner["inputs"], range(1, 6), strict=True)
    ]
    names = [socket["name"] for socket in inner["inputs"]]
    workflow["definitions"]["subgraphs"].append(
        {
            "id": outer,
            "name": "Outer",
            "inputs": [{"name": name, "linkIds": [slot + 1]} for slot, name in enumerate(names)],
            "outputs": [{"name": "LATENT", "linkIds": [6]}],
            "nodes": [inner],
            "links": [
                {"id": slot + 1, "origin_id": -10, "origin_slot": slot, "target_id": 30, "target_slot": slot}
                for slot in range(5)
            ]
            + [{"id": 6, "origin_id": 30, "origin_slot": 0, "target_id": -20, "target_slot": 0}],
        }
    )
    host = json.loads(json.dumps(inner)) | {"type": outer, "widgets_values": ["yellow"]}
    for socket, link in zip(host["inputs"], (3, 1, 6, None, None), strict=True):
        socket["link"] = link
    workflow["nodes"] = [item if item["id"] != 30 else host for item in workflow["nodes"]]
    prompt = to_prompt(workflow)

    assert prompt["30:30:2"]["inputs"]["text"] == "yellow"
    assert prompt["30:30:5"]["inputs"]["steps"] == 9
    assert prompt["30:30:5"]["inputs"]["latent_image"] == [str(SIZE), 0]
    assert prompt[str(DECODE)]["inputs"]["samples"] == ["30:30:5", 0]


@pytest.mark.parametrize("mode", [2, 4])
def test_a_subgraph_that_does_not_run_is_not_expanded(mode):
    prompt = to_prompt(editors.with_subgraph(mode=mode))

    assert not any(key.startswith("30") for key in prompt)
    # A bypassed subgraph passes on the input of the output's type.
    assert prompt[str(DECODE)]["inputs"].get("samples") == (None if mode == 2 else [str(SIZE), 0])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda w: w.pop("definitions"), "does not define"),
        (lambda w: w["definitions"]["subgraphs"][0]["nodes"].append(w["nodes"][-1]), "contains itself"),
        (lambda w: w["nodes"].append(w["nodes"][0]), "two nodes with the id 1"),
        (lambda w: w["links"].append([1, 2]), "names no two sockets"),
        (lambda w: w["nodes"].append({"id": 99}), "node 99 without a type"),
        (lambda w: w["nodes"].append(3), "node without an id"),
    ],
)
def test_what_cannot_be_converted_is_said(change, sentence):
    workflow = editors.with_subgraph()
    change(workflow)
    with pytest.raises(WorkflowError, match=sentence):
        to_prompt(workflow)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a {red|blue} circle", "a red circle"),
        ("a {{dark|light} red|blue} circle", "a dark red circle"),
        ("{a|{b|c}}|d", "a|d"),
        ("open {a|b", "open a"),
        (r"\{kept\} and \n", r"{kept} and \n"),
        ("a // comment\nb /* more */ c", "a \nb  c"),
        ("a /* open", "a /* open"),
        ("50/50 } |", "50/50 } |"),
        ("", ""),
    ],
)
def test_prompts_are_sent_as_the_editor_sends_them_with_the_first_alternative(text, sent):
    assert first_choices(text) == sent


def test_every_node_that_a_device_runs_has_its_widgets_in_the_table():
    # Reroute is the editor's own, and leaves no trace in what it saves.
    assert set(supported_class_types()) - {"Reroute"} <= set(layouts())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_packs_own_workflows_convert(path):
    prompt = to_prompt(json.loads(path.read_text(encoding="utf-8")))

    assert "PocketVideoModelLoader" in {node["class_type"] for node in prompt.values()}
    for node in prompt.values():
        assert all(value is not None for value in node["inputs"].values())
