"""What samplers, schedules and the nodes around them compile to, one after the other and in chains."""

import json
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import generate
from comfyui_pocketvideo.mobile_runtime.engine.scheduling import plan_sigmas
from comfyui_pocketvideo.pocketvideo.export import (
    Geometry,
    WorkflowError,
    compile_workflow,
    lowerings_schedules,
)
from comfyui_pocketvideo.pocketvideo.export import sampling as export_sampling

from unit.export import prompts

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
DEFINITIONS = json.loads(generate.SCHEMA.read_text("utf-8"))["$defs"]


class Desk(prompts.Desk):
    """A desk with our model, and one whose network is told sigma x 1000 and attends to all text."""

    def model(self, name):
        if name == "wan.safetensors":
            return Geometry(24, 16, 4, 8.0, 0.0, multiplier=1000.0)
        return Geometry(24, 16, 4, 3.0, 2.0, any_multiplier=True, zero_is_padding=True)


def plan(prompt):
    return compile_workflow(prompt, None, Desk())


def denoises(prompt):
    return [op for op in plan(prompt).ops if op["op"] == "denoise"]


def refusal(prompt):
    with pytest.raises(WorkflowError) as caught:
        plan(prompt)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


def advanced(prompt, node_id, **widgets):
    """Put a KSamplerAdvanced in the place of the quickstart's sampler, or after it."""
    inputs = dict(prompts.text_to_video()["5"]["inputs"])
    del inputs["denoise"]
    inputs["noise_seed"] = inputs.pop("seed")
    inputs |= {"add_noise": "enable", "start_at_step": 0, "end_at_step": 10000}
    inputs |= {"return_with_leftover_noise": "disable", **widgets}
    prompt[node_id] = prompts.node("KSamplerAdvanced", f"Sampler {node_id}", **inputs)
    return prompt


def two_stages():
    """The usual pair: one sampler leaves noise over, another goes on from there."""
    prompt = prompts.text_to_video()
    advanced(prompt, "5", end_at_step=10, return_with_leftover_noise="enable")
    advanced(prompt, "50", latent_image=["5", 0], add_noise="disable", start_at_step=10)
    prompt["6"]["inputs"]["samples"] = ["50", 0]
    return prompt


def scheduled(class_type, **widgets):
    """Custom sampling with another scheduler."""
    prompt = prompts.custom_sampling()
    prompt["21"] = prompts.node(class_type, "Scheduler", **widgets)
    return prompt


def test_the_lists_of_the_compiler_are_those_of_the_format():
    # Few-Step Sampler brings the one that no list of ComfyUI's names.
    assert [*export_sampling.SAMPLERS, "renoise"] == DEFINITIONS["Denoise"]["properties"]["sampler"]["enum"]
    names = DEFINITIONS["NamedSchedule"]["properties"]["name"]["enum"]
    assert sorted(lowerings_schedules.SCHEDULERS) == sorted(names)


def test_ksampler_advanced_over_the_whole_schedule_is_ksampler():
    assert plan(advanced(prompts.text_to_video(), "5")).ops == plan(prompts.text_to_video()).ops


def test_two_stages_share_text_steps_and_guidance_and_only_one_draws_noise():
    made = plan(two_stages())
    first, second = denoises(two_stages())
    assert first["schedule"]["end"] == 10 and "start" not in first["schedule"]
    assert "finish" not in first["schedule"]
    assert second["schedule"]["start"] == 10 and "end" not in second["schedule"]
    assert second["latent"] == {"op": first["id"]} and "latent" not in first
    assert second["noise"] is None and first["noise"] == {"op": "noise"}
    for name in ("positive", "negative", "guidance"):
        assert first[name] == second[name]
    assert set(made.inputs) == {"seed", "prompt", "negative_prompt", "steps", "guidance"}
    assert "keep_first_frame" not in second
    decoded = next(op for op in made.ops if op["op"] == "decode")
    assert decoded["latent"] == {"op": second["id"]}


def test_without_leftover_noise_an_early_end_is_finished():
    first, _ = denoises(two_stages())
    prompt = two_stages()
    prompt["5"]["inputs"]["return_with_leftover_noise"] = "disable"
    assert denoises(prompt)[0]["schedule"] == {**first["schedule"], "finish": True}


def test_a_part_without_steps_passes_the_latent_on():
    prompt = two_stages()
    prompt["50"]["inputs"] |= {"start_at_step": 10, "end_at_step": 10}
    (only,) = denoises(prompt)
    assert "latent" not in only


def test_another_seed_and_prompt_of_a_second_sampler_get_inputs_of_their_own():
    prompt = prompts.text_to_video()
    prompt["2b"] = prompts.node("CLIPTextEncode", "More", text="a blue star", clip=["1", 1])
    again = {**prompt["5"]["inputs"], "seed": 3, "denoise": 0.5, "latent_image": ["5", 0]}
    prompt["50"] = prompts.node("KSampler", "Refine", **{**again, "positive": ["2b", 0]})
    prompt["6"]["inputs"]["samples"] = ["50", 0]
    made = plan(prompt)
    first, second = denoises(prompt)
    assert made.inputs["seed_2"] == {"type": "seed", "label": "Seed 2", "default": "3"}
    assert made.inputs["prompt_2"]["default"] == "a blue star"
    assert second["noise"] != first["noise"] and second["latent"] == {"op": "latent"}
    assert second["schedule"]["denoise"] == 0.5
    assert second["schedule"]["steps"] == first["schedule"]["steps"] == {"input": "steps"}


def test_a_given_first_frame_stays_given_in_every_stage():
    prompt = prompts.image_to_video()
    inputs = prompt["5"]["inputs"]
    links = {name: inputs[name] for name in ("positive", "negative", "latent_image")}
    advanced(prompt, "5", **links, end_at_step=10, return_with_leftover_noise="enable")
    advanced(prompt, "50", **{**links, "latent_image": ["5", 0]}, add_noise="disable", start_at_step=10)
    prompt["6"]["inputs"]["samples"] = ["50", 0]
    first, second = denoises(prompt)
    assert first["first_frame"] == {"op": "first_frame"}
    assert second["first_frame"] is None and second["keep_first_frame"] is True


@pytest.mark.parametrize("latent", [["4", 0], ["30", 0]])
def test_nothing_to_remove_noise_from_is_refused(latent):
    prompt = encoded()
    prompt["5"]["inputs"]["latent_image"] = latent
    inputs = {key: value for key, value in prompt["5"]["inputs"].items() if key not in ("seed", "denoise")}
    prompt = advanced(prompt, "5", **{**inputs, "latent_image": latent}, add_noise="disable")
    assert "holds no noise" in refusal(prompt)


def encoded():
    """A photo, scaled and encoded, that a KSampler redraws."""
    prompt = prompts.text_to_video()
    prompt["10"] = prompts.node("LoadImage", "Photo", image="photo.png")
    prompt["11"] = prompts.node(
        "ImageScale", "Scale", image=["10", 0], upscale_method="bilinear", width=64, height=48, crop="center"
    )
    prompt["30"] = prompts.node("VAEEncode", "Encode", pixels=["11", 0], vae=["1", 2])
    prompt["5"]["inputs"] |= {"latent_image": ["30", 0], "denoise": 0.6}
    return prompt


def test_an_encoded_photo_is_redrawn():
    made = plan(encoded())
    ops = {op["id"]: op for op in made.ops}
    assert ops["encoded"]["op"] == "encode_image" and ops["encoded"]["image"] == {"input": "photo"}
    assert (ops["encoded"]["width"], ops["encoded"]["height"]) == (64, 48)
    assert ops["latent"]["latent"] == {"op": "encoded"} and ops["latent"]["first_frame"] is None
    assert ops["noise"]["shape"] == [1, 24, 1, 3, 4]
    assert made.inputs["photo"]["default"] in made.photos


@pytest.mark.parametrize(
    ("node_id", "name", "value", "said"),
    [
        ("30", "pixels", ["10", 0], "Upscale Image"),
        ("11", "upscale_method", "lanczos", "bilinear"),
        ("11", "crop", "disabled", "center"),
        ("11", "width", 72, "multiples of 16"),
        ("11", "image", ["6", 0], "depends on itself"),
    ],
)
def test_a_photo_that_a_device_would_encode_otherwise_is_refused(node_id, name, value, said):
    prompt = encoded()
    prompt[node_id]["inputs"][name] = value
    assert said in refusal(prompt)


def test_a_latent_of_another_kind_is_refused():
    class Other(Desk):
        def model(self, name):
            return Geometry(16, 8, 4, 3.0, 2.0) if name == "other" else super().model(name)

    prompt = encoded()
    prompt["1b"] = prompts.node("PocketVideoModelLoader", "Other", model_name="other")
    prompt["30"]["inputs"]["vae"] = ["1b", 2]
    with pytest.raises(WorkflowError, match="does not understand"):
        compile_workflow(prompt, None, Other())


def test_the_compiler_reads_the_sigmas_that_comfyui_reads():
    case = next(c for c in json.loads((VECTORS / "parts.json").read_text("utf-8"))["cases"] if "text" in c)
    (op,) = denoises(scheduled("ManualSigmas", sigmas=case["text"]))
    assert op["schedule"]["name"] == "manual"
    assert plan_sigmas(op["schedule"], None) == pytest.approx(case["sigmas"])
    assert "steps" not in plan(scheduled("ManualSigmas", sigmas="1, 0.5, 0")).inputs


@pytest.mark.parametrize("text", ["1", "", "0.5, 1", "1, 1, 0", "1.5, 0.5", "1, -0.5", "1..5, 0", "9" * 3000])
def test_sigmas_that_do_not_fall_from_one_to_zero_are_refused(text):
    assert "sigmas" in refusal(scheduled("ManualSigmas", sigmas=text))


def test_a_split_schedule_keeps_its_two_parts_apart():
    prompt = prompts.custom_sampling()
    prompt["24"] = prompts.node("SplitSigmas", "Split", sigmas=["21", 0], step=15)
    prompt["25"] = prompts.node("SplitSigmas", "Split again", sigmas=["24", 1], step=4)
    prompt["5"]["inputs"]["sigmas"] = ["24", 0]
    (high,) = denoises(prompt)
    assert (high["schedule"].get("start"), high["schedule"]["end"]) == (None, 15)
    prompt["5"]["inputs"]["sigmas"] = ["25", 0]
    (middle,) = denoises(prompt)
    assert (middle["schedule"]["start"], middle["schedule"]["end"]) == (15, 19)
    prompt["25"]["inputs"]["sigmas"] = ["24", 0]
    prompt["5"]["inputs"]["sigmas"] = ["25", 1]
    (low,) = denoises(prompt)
    assert (low["schedule"]["start"], low["schedule"]["end"]) == (4, 15)
    prompt["25"]["inputs"]["step"] = 15
    assert "holds no step" in refusal(prompt)


def test_the_clean_prediction_is_what_a_whole_schedule_ends_with():
    prompt = prompts.custom_sampling()
    prompt["6"]["inputs"]["samples"] = ["5", 1]
    assert plan(prompt).ops == plan(prompts.custom_sampling()).ops
    prompt["20"]["inputs"]["sampler_name"] = "uni_pc"
    assert "output 1" in refusal(prompt)
    prompt["20"]["inputs"]["sampler_name"] = "heun"
    prompt["24"] = prompts.node("SplitSigmas", "Split", sigmas=["21", 0], step=15)
    prompt["5"]["inputs"]["sigmas"] = ["24", 0]
    assert "output 1" in refusal(prompt)


def test_the_shift_of_ltxv_follows_the_latent():
    widgets = {"steps": 20, "max_shift": 2.05, "base_shift": 0.95, "stretch": True, "terminal": 0.1}
    (op,) = denoises(scheduled("LTXVScheduler", **widgets))
    assert op["schedule"]["tokens"] == 4096
    (op,) = denoises(scheduled("LTXVScheduler", **widgets, latent=["4", 0]))
    assert op["schedule"] == {
        **widgets,
        "steps": {"input": "steps"},
        "name": "ltxv",
        "tokens": 5 * 3 * 4,
        "multiplier": 1.0,
    }
    assert plan(scheduled("LTXVScheduler", **widgets)).inputs["steps"]["minimum"] == 2
    assert "lower max_shift" in refusal(scheduled("LTXVScheduler", **{**widgets, "max_shift": 50.0}))
    assert "steps" in refusal(scheduled("LTXVScheduler", **{**widgets, "steps": 1}))


@pytest.mark.parametrize("class_type", ["ModelSamplingSD3", "ModelSamplingAuraFlow"])
def test_either_node_changes_the_shift_of_our_model(class_type):
    prompt = prompts.custom_sampling()
    prompt["60"] = prompts.node(class_type, "Shift", model=["1", 0], shift=5.5)
    prompt["21"]["inputs"]["model"] = ["60", 0]
    (op,) = denoises(prompt)
    assert (op["schedule"]["shift"], op["schedule"]["multiplier"]) == (5.5, 1.0)
    # As in ComfyUI, a schedule is made by the model that is linked to the scheduler.
    prompt["21"]["inputs"]["model"], prompt["22"]["inputs"]["model"] = ["1", 0], ["60", 0]
    assert denoises(prompt)[0]["schedule"]["shift"] == 3.0


def test_a_network_that_would_be_told_another_time_is_refused():
    prompt = prompts.text_to_video()
    prompt["1"]["inputs"]["model_name"] = "wan.safetensors"
    prompt["60"] = prompts.node("ModelSamplingAuraFlow", "Shift", model=["1", 0], shift=5.5)
    prompt["5"]["inputs"]["model"] = ["60", 0]
    assert "use ModelSamplingSD3" in refusal(prompt)
    prompt["60"]["class_type"] = "ModelSamplingSD3"
    (op,) = denoises(prompt)
    assert (op["schedule"]["shift"], op["schedule"]["multiplier"]) == (5.5, 1000.0)


def test_the_last_sigma_but_one_is_dropped_where_comfyui_drops_it():
    prompt = prompts.text_to_video()
    prompt["5"]["inputs"]["sampler_name"] = "uni_pc"
    assert denoises(prompt)[0]["schedule"]["drop_penultimate"] is True
    assert plan(prompt).inputs["steps"]["minimum"] == 2
    prompt["5"]["inputs"]["steps"] = 1
    assert "2 steps" in refusal(prompt)
    prompt = prompts.custom_sampling()
    prompt["20"]["inputs"]["sampler_name"] = "uni_pc"
    assert "drop_penultimate" not in denoises(prompt)[0]["schedule"]


def test_zeroed_text_takes_the_place_of_a_prompt():
    prompt = prompts.text_to_video()
    prompt["3"] = prompts.node("ConditioningZeroOut", "Nothing", conditioning=["2", 0])
    made = plan(prompt)
    (op,) = denoises(prompt)
    zero = next(one for one in made.ops if one["op"] == "zero_text")
    assert op["negative"] == {"op": zero["id"]} and zero["text"] == op["positive"]
    assert zero["keep_mask"] is False
    assert "negative_prompt" not in made.inputs
    assert [one["op"] for one in made.ops].count("encode_text") == 1


def test_zeroed_text_of_its_own_is_encoded_where_its_mask_counts():
    prompt = prompts.text_to_video()
    prompt["1"]["inputs"]["model_name"] = "wan.safetensors"
    prompt["3b"] = prompts.node("ConditioningZeroOut", "Nothing", conditioning=["3", 0])
    prompt["5"]["inputs"]["negative"] = ["3b", 0]
    zero = next(one for one in plan(prompt).ops if one["op"] == "zero_text")
    text = next(one for one in plan(prompt).ops if one["id"] == zero["text"]["op"])
    assert text["text"] == "" and zero["keep_mask"] is True


def tiled(**widgets):
    prompt = prompts.text_to_video()
    inputs = {"samples": ["5", 0], "vae": ["1", 2], "tile_size": 512, "overlap": 64}
    inputs |= {"temporal_size": 64, "temporal_overlap": 8, **widgets}
    prompt["6"] = prompts.node("VAEDecodeTiled", "Decode", **inputs)
    return prompt


def test_a_latent_that_fits_into_a_tile_is_decoded_whole():
    assert plan(tiled()).ops == plan(prompts.text_to_video()).ops


def test_tiles_are_those_that_comfyui_reckons():
    decode = next(op for op in plan(tiled(temporal_size=8)).ops if op["op"] == "decode")
    assert decode["tiles"] == {"size": [2, 32, 32], "overlap": [1, 4, 4], "scale": [4, 16, 16]}
    prompt = tiled(tile_size=64, overlap=64, temporal_size=4096)
    prompt["4"]["inputs"] |= {"width": 128, "height": 96}
    decode = next(op for op in plan(prompt).ops if op["op"] == "decode")
    assert decode["tiles"] == {"size": [1024, 4, 4], "overlap": [2, 1, 1], "scale": [4, 16, 16]}


def test_an_animated_webp_is_an_end():
    prompt = prompts.text_to_video()
    del prompt["7"], prompt["8"]
    prompt["8"] = prompts.node(
        "SaveAnimatedWEBP",
        "Save",
        images=["6", 0],
        filename_prefix="x",
        fps=6.0,
        lossless=False,
        quality=70,
        method="slowest",
    )
    video = plan(prompt).ops[-1]
    assert (video["op"], video["fps"]) == ("write_video", 6.0)
    assert video["webp"] == {"lossless": False, "quality": 70, "effort": 6}
    prompt["8"]["inputs"]["method"] = "best"
    assert "default or fastest or slowest" in refusal(prompt)
