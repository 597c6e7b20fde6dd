"""T9: whatever JSON comes as a workflow, the compiler makes a plan or says one sentence, and never hangs."""

import json

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle._validator import validate
from comfyui_pocketvideo.mobile_runtime.bundle.plan import check_plan
from comfyui_pocketvideo.pocketvideo.export import WorkflowError, compile_workflow, parse_prompt
from comfyui_pocketvideo.pocketvideo.export.prompt import MAX_PROMPT_BYTES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unit.engine import small
from unit.export import prompts


def outcome(prompt, output=None):
    try:
        plan = compile_workflow(prompt, output, prompts.Desk())
    except WorkflowError as error:
        message = str(error)
        assert message.isprintable()
        assert 0 < len(message) < 1000
        return message
    json.dumps([plan.inputs, plan.ops, plan.workflow], allow_nan=False).encode()
    fits_the_format(plan)
    return plan


def fits_the_format(plan):
    """What compiles is a plan that a bundle may hold: each bound of the compiler lies within the format's."""
    manifest = small.manifest()
    manifest |= {"inputs": dict(plan.inputs), "plan": list(plan.ops)}
    manifest["files"] = [{"path": "x", "sha256": "0" * 64, "bytes": 1}]
    validate(manifest)
    check_plan(manifest)


def refused(prompt, output=None):
    message = outcome(prompt, output)
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("prompt", [None, 3, "x", [], [1], {}, {"nodes": []}, {"8": None}, {"8": []}, {1: 2}])
def test_t09_things_that_are_no_prompts(prompt):
    refused(prompt)
    refused(prompt, "8")


def test_t09_the_editors_format_is_told_apart():
    assert "Export (API)" in refused([], "1")
    assert "node 1 without a type" in refused({"nodes": [{"id": 1}], "links": []}, "1")


def test_t09_cycle():
    prompt = prompts.text_to_video()
    prompt["4"] = prompts.node("KSampler", "Loop", latent_image=["5", 0])
    assert "depends on itself" in refused(prompt)


def test_t09_self_link():
    prompt = prompts.text_to_video()
    prompt["6"]["inputs"]["samples"] = ["6", 0]
    assert "depends on itself" in refused(prompt)


def test_t09_a_million_nodes():
    prompt = {
        str(i): {"class_type": "VAEDecode", "inputs": {"samples": [str(i + 1), 0]}} for i in range(1_000_000)
    }
    assert "1000000 nodes" in refused(prompt, "0")


def test_t09_a_chain_deeper_than_the_stack():
    prompt = {
        str(i): {"class_type": "VAEDecode", "inputs": {"samples": [str(i + 1), 0]}} for i in range(4000)
    }
    prompt["4000"] = {"class_type": "SaveVideo", "inputs": {}}
    assert refused(prompt, "0")


def test_t09_many_links_to_the_same_nodes_are_walked_once():
    layers = 60
    prompt = {
        str(i): {"class_type": "X", "inputs": {f"in{j}": [str(i + 1), j] for j in range(50)}}
        for i in range(layers)
    }
    prompt[str(layers)] = {"class_type": "X", "inputs": {}}
    assert "no lowering" in refused(prompt, "0")


def test_t09_missing_link():
    prompt = prompts.text_to_video()
    prompt["6"]["inputs"]["samples"] = ["77", 0]
    message = refused(prompt)
    assert "77" in message
    assert "Decode" in message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_t09_constants_that_are_not_json(number):
    with pytest.raises(WorkflowError, match=number):
        parse_prompt('{"1": {"class_type": "KSampler", "inputs": {"cfg": NUMBER}}}'.replace("NUMBER", number))


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, b"\xff\xfe", '{"a": 1' + "0" * 10_000 + "}", "\ud800"]
)
def test_t09_text_that_is_no_json(text):
    with pytest.raises(WorkflowError) as caught:
        compile_workflow(parse_prompt(text), None, prompts.Desk())
    assert str(caught.value).isprintable()


def test_t09_too_many_bytes():
    with pytest.raises(WorkflowError, match="bytes"):
        parse_prompt(" " * (MAX_PROMPT_BYTES + 1))


def deep(levels):
    value = 0
    for _ in range(levels):
        value = [value, 0, 0]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**64,
        -(10**5000),
        "x" * 100_000,
        "\ud800",
        deep(100_000),
        [0] * 100_000,
        [["x"] * 4000] * 4000,
        {"k" * i: i for i in range(1, 5000)},
        {1: 2},
        object(),
        b"bytes",
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("name", ["seed", "unknown"])
def test_t09_values_out_of_bounds_anywhere_in_a_node(name, value):
    prompt = prompts.text_to_video()
    prompt["5"]["inputs"][name] = value
    assert "Sample" in refused(prompt)


def test_t09_huge_sizes():
    prompt = prompts.text_to_video()
    prompt["4"]["inputs"] = {"width": 2048, "height": 2048, "length": 257, "batch_size": 1}
    assert "values, more than" in refused(prompt)


def test_t09_a_title_cannot_break_the_sentence():
    prompt = prompts.text_to_video()
    prompt["4"] = prompts.node("Evil", "line\nbreak \x1b[31m \u202e " + "x" * 1000)
    assert "Evil" in refused(prompt)


def test_t09_names_of_models_and_images_are_only_looked_up():
    prompt = prompts.image_to_video()
    prompt["10"]["inputs"]["image"] = "../../etc/passwd"
    assert "etc/passwd" in refused(prompt)


def test_every_sampling_node_is_compiled():
    prompt = prompts.every_sampling_node()
    prompt["1"]["inputs"]["model_name"] = "shapes.safetensors"
    assert not isinstance(outcome(prompt), str), outcome(prompt)
    assert len([op for op in outcome(prompt).ops if op["op"] == "denoise"]) == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(max_size=8), children, max_size=4)
        | st.tuples(st.sampled_from([str(i) for i in range(1, 9)]), st.integers(-2, 4)).map(list)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values)
def test_t09_any_json_is_a_plan_or_a_sentence(value):
    outcome(value)
    outcome({"8": value}, "8")
    outcome({"8": {"class_type": "SaveVideo", "inputs": value, "_meta": value}}, "8")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_t09_any_change_of_a_good_workflow_is_a_plan_or_a_sentence(data):
    prompt = data.draw(
        st.sampled_from(
            [
                prompts.text_to_video(),
                prompts.image_to_video(),
                prompts.custom_sampling(),
                prompts.every_sampling_node(),
            ]
        )
    )
    for _ in range(data.draw(st.integers(1, 3))):
        target = prompt[data.draw(st.sampled_from(sorted(prompt)))]
        if not isinstance(target, dict) or not isinstance(target.get("inputs"), dict) or not target["inputs"]:
            continue
        key = data.draw(st.sampled_from(sorted(target["inputs"])))
        value = data.draw(
            json_values
            | st.tuples(st.sampled_from(sorted(prompt)), st.integers(0, 3)).map(list)
            | st.sampled_from([v for n in prompt.values() for v in n["inputs"].values()])
        )
        target["inputs"][key] = value
        if data.draw(st.booleans()):
            target["class_type"] = data.draw(st.sampled_from([n["class_type"] for n in prompt.values()]))
    outcome(prompt)
