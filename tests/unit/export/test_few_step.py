"""Few-step nodes compile into the plan, and a student's video on the device is torch's, noise by noise."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, open_tensors, psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups, main
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.dry_run import plan_only
from comfyui_pocketvideo.pocketvideo.export.errors import WorkflowError
from comfyui_pocketvideo.pocketvideo.export.modelfile import read_config
from comfyui_pocketvideo.pocketvideo.few_step import KNOWN, read_card
from comfyui_pocketvideo.pocketvideo.models.sampling import generate
from comfyui_pocketvideo.pocketvideo.training.fewstep.card import save_student

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE, Desk
from unit.export.prompts import GEOMETRY, denoise, refusal

FOUR = [1.0, 0.92, 0.76, 0.52, 0.0]
CARD = {"sigmas": {"4": FOUR, "1": [1.0, 0.0]}, "sampling": "renoise", "steps": 4, "guidance": 1.0}
SEED = 77


def few_steps(student="as the model says", steps=4, sampling="as the model says"):
    """Custom sampling of a student, without guidance."""
    prompt = prompts.custom_sampling()
    widgets = {"student.steps": steps} if student == "as the model says" else {}
    prompt["20"] = prompts.node("PocketVideoFewStepSampler", "Few", sampling=sampling, model=["1", 0])
    prompt["21"] = prompts.node(
        "PocketVideoFewStepSchedule", "Steps", student=student, model=["1", 0], **widgets
    )
    prompt["22"] = prompts.node("BasicGuider", "Guider", model=["1", 0], conditioning=["2", 0])
    return prompt


@pytest.fixture
def card(monkeypatch):
    """The desk's model is a student."""
    student = prompts.Geometry(**{**vars(GEOMETRY), "few_step": read_card({"few_step": CARD})})
    monkeypatch.setattr(prompts, "GEOMETRY", student)


@pytest.mark.usefixtures("card")
def test_the_card_says_sampler_and_sigmas():
    op = denoise(few_steps())
    assert op["sampler"] == "renoise"
    assert op["renoise_seed"] == {"input": "seed"}
    assert op["schedule"] == {"name": "manual", "sigmas": FOUR, "multiplier": 1.0}
    assert denoise(few_steps(steps=1))["schedule"]["sigmas"] == [1.0, 0.0]
    assert "1 or 4 steps, not 3" in refusal(few_steps(steps=3))
    deterministic = denoise(few_steps(sampling="deterministic"))
    assert deterministic["sampler"] == "euler" and "renoise_seed" not in deterministic


def test_without_a_card_the_list_says_it():
    assert "no few-step student" in refusal(few_steps())
    prompt = few_steps("CausVid (3 steps)", sampling="fresh noise")
    del prompt["21"]["inputs"]["model"]
    assert denoise(prompt)["schedule"]["sigmas"] == [1.0, 0.757, 0.522, 0.0]
    # Timesteps of 1000, by the model's own shift of 3.
    timed = denoise(few_steps("DMD2 (4 steps)", sampling="fresh noise"))["schedule"]["sigmas"]
    expected = [3 * t / (1 + 2 * t) for t in (0.999, 0.749, 0.499, 0.249)]
    np.testing.assert_allclose(timed, [*expected, 0.0], rtol=1e-6)
    assert "is 'LCM'" in refusal(few_steps("LCM", sampling="fresh noise"))


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_list_falls_to_zero(name):
    sigmas = denoise(few_steps(name, sampling="deterministic"))["schedule"]["sigmas"]
    assert sigmas[-1] == 0 and sigmas == sorted(sigmas, reverse=True) and sigmas[0] <= 1
    assert f"({len(sigmas) - 1} steps)" in name


def split(boundary, **low):
    """First steps guided, last ones a student's; both of one model here."""
    prompt = few_steps("CausVid (3 steps)", sampling="fresh noise")
    prompt["30"] = prompts.node(
        "BasicScheduler", "Whole", model=["1", 0], scheduler="simple", steps=25, denoise=1.0
    )
    prompt["31"] = prompts.node(
        "PocketVideoHighLowSplit", "Split", high=["30", 0], low=["21", 0], boundary=boundary, **low
    )
    prompt["32"] = prompts.node("DisableNoise", "None")
    prompt["33"] = prompts.node(
        "CFGGuider", "Guided", model=["1", 0], positive=["2", 0], negative=["3", 0], cfg=4.0
    )
    prompt["34"] = prompts.node("KSamplerSelect", "Euler", sampler_name="euler")
    first = {"noise": ["23", 0], "guider": ["33", 0], "sampler": ["34", 0], "sigmas": ["31", 0]}
    prompt["35"] = prompts.node("SamplerCustomAdvanced", "High", **first, latent_image=["4", 0])
    second = {"noise": ["32", 0], "sigmas": ["31", 1], "latent_image": ["35", 0]}
    prompt["5"]["inputs"] |= second
    return prompt


def test_two_schedules_meet_at_a_sigma_that_the_second_model_knows():
    plan = prompts.compile_workflow(split(0.8), None, prompts.Desk())
    high, low = [op for op in plan.ops if op["op"] == "denoise"]
    assert high["schedule"]["until"] == pytest.approx(0.757) and high["schedule"]["name"] == "simple"
    assert low["schedule"]["sigmas"] == pytest.approx([0.757, 0.522, 0.0])
    assert high["sampler"] == "euler" and low["sampler"] == "renoise"
    assert low["renoise_seed"] == "0" and low["noise"] is None
    assert "lower it" in refusal(split(1.0))
    assert "raise the boundary to 0.522" in refusal(split(0.3))


def test_a_split_schedule_is_split_once():
    prompt = split(0.8)
    prompt["36"] = prompts.node("SplitSigmas", "Again", sigmas=["31", 0], step=2)
    prompt["35"]["inputs"]["sigmas"] = ["36", 0]
    assert "split by High-Low Split already" in refusal(prompt)
    prompt = split(0.8)
    prompt["31"]["inputs"]["low"] = ["30", 0]
    assert "no list of sigmas" in refusal(prompt)


def test_the_devices_video_of_a_student_is_torchs(exported, tmp_path):
    model, parent = exported.model, exported.desk.model_path
    path = parent.with_name("student.safetensors")
    save_student(path, model.denoiser.state_dict(), model.config, parent, CARD)
    assert read_config(path)["few_step"] == CARD
    prompt = few_steps()
    prompt["23"]["inputs"]["noise_seed"] = SEED
    for node in prompt.values():
        if "width" in node["inputs"]:
            node["inputs"] |= {"width": SIDE, "height": SIDE, "length": LENGTH}
    plan = prompts.compile_workflow(prompt, None, Desk(path, exported.desk.photo))
    bundle = export_bundle(plan, path, tmp_path / "bundle", cache_dir=exported.cache)
    result = run_bundle(bundle, {}, output_dir=tmp_path, threads=1)

    config = {**model.config, "defaults": {**model.config["defaults"], "frames": LENGTH}}
    config["defaults"] |= {"width": SIDE, "height": SIDE}
    video = generate(
        replace(model, config=config),
        ["a red circle moves left"],
        seed=SEED,
        guidance=1.0,
        sigmas=torch.tensor(FOUR),
        renoise=True,
    )
    truth = 255 * ((video[0] + 1) / 2).clamp(0, 1).permute(1, 2, 3, 0).numpy()
    assert result.evaluations == 4
    assert np.std(truth) > 5, "a constant video would prove nothing"
    # The student's file holds float16.
    assert psnr(result.frames, truth) > 40


def two_models(parent, student):
    """First steps guided by the teacher, last ones by its student."""
    prompt = split(0.8)
    for node in prompt.values():
        if "width" in node["inputs"]:
            node["inputs"] |= {"width": SIDE, "height": SIDE, "length": LENGTH}
    prompt["1"]["inputs"]["model_name"] = parent
    prompt["40"] = prompts.node("PocketVideoModelLoader", "Student", model_name=student)
    prompt["22"]["inputs"]["model"] = ["40", 0]
    prompt["30"]["inputs"]["steps"] = 4
    return prompt


@pytest.fixture(scope="module")
def relatives(exported, tmp_path_factory):
    """A teacher, a student with other weights, and a stranger, in one folder."""
    folder = tmp_path_factory.mktemp("relatives")
    parent = folder / "shapes.safetensors"
    parent.write_bytes(exported.desk.model_path.read_bytes())
    generator = torch.Generator().manual_seed(2)
    state = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in exported.model.denoiser.state_dict().items()
    }
    save_student(folder / "few.safetensors", state, exported.model.config, parent, CARD)
    (folder / "stranger.safetensors").write_bytes(parent.read_bytes())
    return folder


def test_a_teacher_and_its_student_are_one_bundle(exported, relatives, tmp_path):
    model = relatives / "shapes.safetensors"
    desk = FolderLookups(model, relatives, beside=True)
    plan = prompts.compile_workflow(two_models("shapes.safetensors", "few.safetensors"), None, desk)
    assert [op["component"] for op in plan.ops if op["op"] == "denoise"] == ["denoiser", "denoiser_2"]
    assert (plan.model_name, plan.relatives) == ("shapes.safetensors", {"denoiser_2": "few.safetensors"})
    expected = plan_only(plan, model, cache_dir=tmp_path / "empty")
    bundle = export_bundle(plan, model, tmp_path / "bundle", cache_dir=exported.cache)
    size = sum(entry["bytes"] for entry in bundle.files.values())
    known = plan_only(plan, model, cache_dir=exported.cache)
    assert known["exact"] and known["bytes"] == pytest.approx(size, rel=0.01)
    weights = [{part["name"]: part["weights"] for part in told["components"]} for told in (expected, known)]
    for each in weights:
        assert each["denoiser_2"] == each["denoiser"] > 0
    assert weights[0]["denoiser_2"] == weights[1]["denoiser_2"]
    components = bundle.manifest["components"]
    first, second = (
        [open_tensors(bundle.path(stage["weights"])) for stage in components[name]["stages"]]
        for name in ("denoiser", "denoiser_2")
    )
    assert len(first) == len(second) and any(
        not np.array_equal(one[key], two[key]) for one, two in zip(first, second, strict=True) for key in one
    )
    assert min(report.psnr for report in self_test(bundle, threads=1).values()) > 60
    made = run_bundle(bundle, {}, output_dir=tmp_path, threads=1)
    # The teacher's steps from above 0.757, guided, then two of the student.
    steps = [op["schedule"] for op in plan.ops if op["op"] == "denoise"]
    assert made.evaluations == 2 * sum(sigma > 0.757 for sigma in (1.0, 0.9, 0.75, 0.5)) + 2
    assert steps[1]["sigmas"] == pytest.approx([0.757, 0.522, 0.0])
    alone = prompts.compile_workflow(two_models("shapes.safetensors", "shapes.safetensors"), None, desk)
    assert not alone.relatives
    other = export_bundle(alone, model, tmp_path / "alone", cache_dir=exported.cache)
    assert psnr(run_bundle(other, {}, output_dir=tmp_path, threads=1).frames, made.frames) < 40


def test_models_that_are_no_relatives_are_refused(relatives):
    desk = FolderLookups(relatives / "shapes.safetensors", relatives, beside=True)
    with pytest.raises(WorkflowError, match="use one model for both"):
        prompts.compile_workflow(two_models("shapes.safetensors", "stranger.safetensors"), None, desk)
    merging = two_models("shapes.safetensors", "few.safetensors")
    settings = {"mode": "pairs", "start_percent": 0.0, "end_percent": 1.0, "keep_first_frame": False}
    merging["41"] = prompts.node("PocketVideoTemporalTokenMerge", "Merge", model=["40", 0], **settings)
    merging["22"]["inputs"]["model"] = ["41", 0]
    with pytest.raises(WorkflowError, match="is the second model of this workflow"):
        prompts.compile_workflow(merging, None, desk)


def test_the_command_finds_a_student_beside_its_teacher(exported, relatives, tmp_path, capsys):
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(two_models("shapes.safetensors", "few.safetensors")))
    command = ["--workflow", str(workflow), "--out", str(tmp_path / "out"), "--cache", str(exported.cache)]
    assert main([*command, "--model", str(relatives / "few.safetensors")]) == 0
    assert set(Bundle.open(tmp_path / "out").manifest["components"]) >= {"denoiser", "denoiser_2"}
    workflow.write_text(json.dumps(two_models("shapes.safetensors", "gone.safetensors")))
    assert main([*command, "--model", str(relatives / "shapes.safetensors")]) == 1
    assert "There is no model file gone.safetensors" in capsys.readouterr().err
