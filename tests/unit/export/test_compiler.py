"""What a workflow compiles to, and what it says when it cannot."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo.export import (
    UnsupportedNode,
    WorkflowError,
    compile_workflow,
    parse_prompt,
)
from comfyui_pocketvideo.pocketvideo.export.lowering import REGISTRY
from comfyui_pocketvideo.pocketvideo.export.plan import ExampleFrame

from unit.export import prompts

WORKFLOWS = Path(__file__).parents[3] / "workflows"


def compiled(prompt, output=None):
    return compile_workflow(prompt, output, prompts.Desk())


def refusal(prompt, output=None, error=WorkflowError):
    with pytest.raises(error) as caught:
        compiled(prompt, output)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_text_to_video_becomes_encode_noise_denoise_decode_write():
    plan = compiled(prompts.text_to_video())
    assert plan.model_name == "shapes.safetensors"
    assert [op["op"] for op in plan.ops] == [
        "encode_text",
        "encode_text",
        "noise",
        "denoise",
        "decode",
        "write_video",
    ]
    assert plan.components == ("text_encoder", "denoiser", "vae_decoder")
    assert plan.inputs["prompt"]["default"] == "a red circle moves left"
    assert plan.inputs["negative_prompt"]["default"] == ""
    assert plan.inputs["seed"]["default"] == "18446744073709551615"
    assert plan.inputs["steps"]["default"] == 25
    assert plan.inputs["guidance"]["default"] == 4.0
    ops = {op["id"]: op for op in plan.ops}
    assert ops["noise"]["shape"] == [1, 24, 5, 3, 4]
    assert ops["latent"]["schedule"] == {
        "name": "simple",
        "steps": {"input": "steps"},
        "shift": 3.0,
        "denoise": 1.0,
        "multiplier": 1.0,
    }
    assert ops["latent"]["first_frame"] is None
    assert ops["latent"]["motion"] == 2.0
    assert ops["video"]["fps"] == 12.0


def test_every_op_uses_only_earlier_ops_and_declared_inputs():
    for prompt in (prompts.text_to_video(), prompts.image_to_video(), prompts.custom_sampling()):
        plan = compiled(prompt)
        known: set[str] = set()
        for op in plan.ops:
            for value in [*op.values(), *op.get("schedule", {}).values()]:
                if isinstance(value, dict) and "op" in value and "id" not in value:
                    assert value["op"] in known
                if isinstance(value, dict) and set(value) == {"input"}:
                    assert value["input"] in plan.inputs
            assert op["id"] not in known
            known.add(op["id"])


def test_image_to_video_gives_the_first_frame_and_the_motion_to_the_sampler():
    plan = compiled(prompts.image_to_video())
    ops = {op["id"]: op for op in plan.ops}
    assert ops["first_frame"] == {
        "id": "first_frame",
        "op": "encode_image",
        "component": "vae_encoder",
        "image": {"input": "photo"},
        "width": 64,
        "height": 48,
    }
    assert ops["latent"]["first_frame"] == {"op": "first_frame"}
    assert ops["latent"]["motion"] == {"input": "motion"}
    assert plan.inputs["motion"]["default"] == 3.5
    assert plan.inputs["photo"]["default"] in plan.photos
    assert plan.photos[plan.inputs["photo"]["default"]].name == "photo.png"


def test_an_example_frame_stands_in_for_a_photo():
    prompt = prompts.image_to_video()
    words = {
        "colour": "red",
        "shape": "star",
        "background": "navy",
        "place_for": "left",
        "seed": 7,
        "size": 64,
    }
    prompt["10"] = prompts.node("PocketVideoExampleImage", "Example", **words)
    assert compiled(prompt).photos["inputs/photo.png"] == ExampleFrame(**words)
    prompt["10"]["inputs"]["shape"] = "dodecahedron"
    assert "circle" in refusal(prompt)


def test_custom_sampling_compiles_to_the_same_plan_as_ksampler():
    assert compiled(prompts.custom_sampling()).ops == compiled(prompts.text_to_video()).ops
    assert compiled(prompts.custom_sampling()).inputs == compiled(prompts.text_to_video()).inputs


def test_basic_guider_has_no_negative_prompt():
    prompt = prompts.custom_sampling()
    prompt["22"] = prompts.node("BasicGuider", "Guider", model=["1", 0], conditioning=["2", 0])
    plan = compiled(prompt)
    denoise = next(op for op in plan.ops if op["op"] == "denoise")
    assert denoise["negative"] is None
    assert denoise["guidance"] == 1.0
    assert "negative_prompt" not in plan.inputs


def test_send_to_device_is_the_end_and_is_preferred_to_save_video():
    prompt = prompts.text_to_video()
    prompt["9"] = prompts.node("PocketVideoSendToDevice", "Send", images=["6", 0], fps=8, device="phone")
    assert compiled(prompt).ops[-1]["fps"] == 8.0
    assert "8" not in compiled(prompt).workflow
    assert compiled(prompt, "8").ops[-1]["fps"] == 12.0


def test_run_on_device_is_the_end_after_send_to_device_and_before_save_video():
    prompt = prompts.text_to_video()
    prompt["9"] = prompts.node("PocketVideoRunOnDevice", "Run", images=["6", 0], fps=8, device="phone")
    assert compiled(prompt).ops[-1]["fps"] == 8.0
    prompt["10"] = prompts.node("PocketVideoSendToDevice", "Send", images=["6", 0], fps=6, device="phone")
    assert compiled(prompt).ops[-1]["fps"] == 6.0


def test_a_save_video_behind_run_on_device_writes_one_video():
    prompt = prompts.text_to_video()
    prompt["9"] = prompts.node("PocketVideoRunOnDevice", "Run", images=["6", 0], fps=8, device="phone")
    prompt["7"]["inputs"]["images"] = ["9", 0]
    plan = compiled(prompt, "8")
    assert [op["fps"] for op in plan.ops if op["op"] == "write_video"] == [12.0]


def test_only_ancestors_are_compiled():
    prompt = prompts.text_to_video()
    prompt["50"] = prompts.node("SomethingElse", "Elsewhere", images=["6", 0], loop=["50", 0])
    assert set(compiled(prompt).workflow) == {str(i) for i in range(1, 9)}


def test_one_text_node_for_both_prompts_is_encoded_once():
    prompt = prompts.text_to_video()
    prompt["5"]["inputs"]["negative"] = ["2", 0]
    plan = compiled(prompt)
    denoise = next(op for op in plan.ops if op["op"] == "denoise")
    assert denoise["negative"] == denoise["positive"] == {"op": "prompt"}


def test_a_node_without_a_lowering_is_named_with_title_id_and_replacement():
    prompt = prompts.text_to_video()
    prompt["4"] = prompts.node("EmptyLatentImage", "My latent", width=64, height=64, batch_size=1)
    message = refusal(prompt, error=UnsupportedNode)
    assert '"My latent" (node 4, EmptyLatentImage)' in message
    assert '"Empty Pocket Video Latent"' in message


@pytest.mark.parametrize(
    ("node_id", "name", "value", "said"),
    [
        ("5", "sampler_name", "dpmpp_sde", "draws noise on its way, and a device draws it at the beginning"),
        ("5", "sampler_name", "euler_ancestral", "set it to euler or heun or dpm_2"),
        ("5", "sampler_name", "lms", "which a device does not know; set it to euler"),
        ("5", "scheduler", "turbo", "simple"),
        ("5", "steps", 0, "1 to 200"),
        ("5", "steps", True, "1 to 200"),
        ("5", "steps", ["3", 0], "unlink"),
        ("5", "seed", -1, "18446744073709551615"),
        ("5", "cfg", "much", "0 to 100"),
        ("5", "denoise", 0, "0.01 to 1"),
        ("5", "model", ["1", 1], "MODEL"),
        ("5", "positive", "a circle", "CONDITIONING"),
        ("5", "latent_image", ["1", 2], "LATENT"),
        ("4", "batch_size", 2, "1 to 1"),
        ("4", "width", 10**9, "16 to 2048"),
        ("4", "width", 65, "multiple of 16"),
        ("4", "length", 16, "multiple of 4 plus 1"),
        ("2", "text", "x" * 3000, "2000"),
        ("2", "text", 5, "text"),
        ("1", "model_name", "other.safetensors", "other.safetensors"),
        ("6", "samples", ["4", 0], "KSampler"),
        ("7", "fps", 0, "1 to 120"),
        ("7", "audio", ["6", 0], "sound"),
        ("7", "images", ["1", 5], "output 5"),
    ],
)
def test_a_value_that_a_device_cannot_take_is_named(node_id, name, value, said):
    prompt = prompts.text_to_video()
    prompt[node_id]["inputs"][name] = value
    message = refusal(prompt)
    assert said in message
    assert prompt[node_id]["_meta"]["title"] in message or prompt["5"]["_meta"]["title"] in message


@pytest.mark.parametrize("name", ["", "value"])
def test_a_reroute_in_a_prompt_passes_on_what_it_is_linked_to(name):
    prompt = prompts.text_to_video()
    plain = compiled(prompt)
    prompt["50"] = prompts.node("Reroute", "Reroute", **{name: ["1", 0]})
    prompt["51"] = prompts.node("Reroute", "Reroute", **{name: ["50", 0]})
    prompt["5"]["inputs"]["model"] = ["51", 0]
    prompt["52"] = prompts.node("PrimitiveInt", "Steps", value=7)
    prompt["53"] = prompts.node("Reroute", "Reroute", **{name: ["52", 0]})
    prompt["5"]["inputs"]["steps"] = ["53", 0]
    rerouted = compiled(prompt)
    assert rerouted.inputs["steps"]["default"] == 7
    assert rerouted.ops == plain.ops
    prompt["50"]["inputs"] = {}
    assert '"Reroute" (node 50, Reroute) has 0 links and passes on one' in refusal(prompt)


def test_the_motion_of_both_prompts_has_to_agree():
    prompt = prompts.image_to_video()
    prompt["5"]["inputs"]["negative"] = ["3", 0]
    assert "motion" in refusal(prompt)


def test_two_outputs_have_to_be_told_apart():
    prompt = prompts.text_to_video()
    prompt["88"] = copy.deepcopy(prompt["8"])
    assert "several places" in refusal(prompt)
    assert compiled(prompt, "88").ops


def test_a_node_that_is_no_output_is_refused_as_the_end():
    assert "Save Video" in refusal(prompts.text_to_video(), "6")


def test_the_compiled_workflow_is_plain_json_of_what_was_checked():
    prompt = prompts.text_to_video()
    prompt["5"]["payload"] = float("nan")
    prompt["5"]["_meta"]["more"] = ["x"] * 10
    workflow = compiled(prompt).workflow
    assert json.loads(json.dumps(workflow, allow_nan=False)) == workflow
    assert set(workflow["5"]) == {"class_type", "inputs", "_meta"}
    again = compiled(workflow)
    assert again.ops == compiled(prompt).ops


def test_parse_prompt_reads_what_comfyui_writes():
    prompt = prompts.image_to_video()
    assert parse_prompt(json.dumps(prompt)) == prompt


def test_compiling_imports_neither_torch_nor_onnx():
    code = (
        "import sys; import comfyui_pocketvideo.pocketvideo.export as e; assert e.compile_workflow; "
        "bad = {'torch', 'onnx', 'onnxruntime', 'diffusers', 'transformers', 'comfy'} & set(sys.modules); "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.json")), ids=lambda path: path.stem)
def test_every_node_on_the_way_of_a_shipped_workflow_has_a_lowering(path):
    workflow = json.loads(path.read_text("utf-8"))
    nodes = {node["id"]: node for node in workflow["nodes"]}
    sources: dict[int, list[int]] = {}
    for _, source, _, target, *_ in workflow["links"]:
        sources.setdefault(target, []).append(source)
    wanted = [node["id"] for node in workflow["nodes"] if node["type"] == "SaveVideo"]
    seen: set[int] = set()
    while wanted:
        node_id = wanted.pop()
        if node_id not in seen:
            seen.add(node_id)
            wanted += sources.get(node_id, [])
    assert len(seen) > 5
    assert {nodes[node_id]["type"] for node_id in seen} <= set(REGISTRY)


def test_there_are_shipped_workflows():
    assert {"quickstart", "animate-a-photo"} <= {path.stem for path in WORKFLOWS.glob("*.json")}
