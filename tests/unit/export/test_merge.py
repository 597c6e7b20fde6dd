"""A Temporal Token Merge compiles into the plan, and the device merges as torch does, to the same frames."""

import itertools

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import ManifestError, psnr
from comfyui_pocketvideo.mobile_runtime.bundle.manifest import serialise
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.acceleration.merged_attention import MergeRule
from comfyui_pocketvideo.pocketvideo.acceleration.merging import pair_frames
from comfyui_pocketvideo.pocketvideo.acceleration.token_merge import TokenMerger
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.precision import parse_precision

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE
from unit.export.prompts import denoise, refusal
from unit.export.test_device_equals_torch import first_frame, shifted_sigmas

PAIRS = {"mode": "pairs"}
SIMILAR = {"mode": "similar", "mode.threshold": -1, "mode.share": 0.9}
SEED, STEPS, GUIDANCE, SHIFT = 91, 6, 2.5, 3.0


def merging(base=prompts.text_to_video, start=0.0, end=0.5, keep=False, **mode):
    """A workflow whose sampler's model merges."""
    prompt = base()
    prompt["30"] = prompts.node(
        "PocketVideoTemporalTokenMerge",
        "Merge",
        model=["1", 0],
        start_percent=start,
        end_percent=end,
        keep_first_frame=keep,
        **(mode or PAIRS),
    )
    prompt["5"]["inputs"]["model"] = ["30", 0]
    return prompt


def test_a_merge_is_a_field_of_the_sampling_op_in_sigmas():
    assert "merge" not in denoise(prompts.text_to_video())
    assert denoise(merging())["merge"] == {
        "mode": "pairs",
        "component": "denoiser_pairs",
        "end": 0.75,  # half of the schedule, shifted by 3
        "keep_first_frame": False,
    }
    assert denoise(merging(start=0.25, end=1.0, keep=True, **SIMILAR))["merge"] == {
        "mode": "similar",
        "component": "denoiser_similar",
        "begin": 0.9,
        "end": 0.0,
        "keep_first_frame": True,
        "share": 0.9,
    }


def test_the_twin_is_a_component_beside_the_denoiser():
    plan = compile_workflow(merging(), None, prompts.Desk())
    assert plan.components == ("text_encoder", "denoiser", "vae_decoder", "denoiser_pairs")


def test_a_schedule_of_the_unmerged_model_serves_the_merging_one():
    prompt = prompts.custom_sampling()
    merge = merging()["30"]
    prompt["30"] = merge
    prompt["22"]["inputs"]["model"] = ["30", 0]
    assert "merge" in denoise(prompt)
    prompt["21"]["inputs"]["model"] = ["30", 0]
    prompt["22"]["inputs"]["model"] = ["1", 0]
    assert "merge" not in denoise(prompt)


@pytest.mark.parametrize(
    ("length", "keep", "mode"),
    [(1, False, PAIRS), (5, True, PAIRS), (17, False, SIMILAR | {"mode.share": 0.01})],
)
def test_where_nothing_can_merge_the_plan_is_the_plain_one(length, keep, mode):
    prompt, plain = merging(keep=keep, **mode), prompts.text_to_video()
    for one in (prompt, plain):
        one["4"]["inputs"]["length"] = length
    assert denoise(prompt) == denoise(plain)


def test_a_saved_workflow_without_the_later_switch_merges():
    prompt = merging()
    del prompt["30"]["inputs"]["keep_first_frame"]
    assert denoise(prompt) == denoise(merging())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mode", "some", "pairs or similar"),
        ("mode.threshold", 0.8, "set it to -1"),
        ("mode.threshold", None, "missing"),
        ("mode.share", 2, "0 to 1"),
        ("start_percent", 0.5, "nothing merges"),
        ("end_percent", "late", "0 to 1"),
        ("keep_first_frame", "yes", "switch it on or off"),
        ("model", ["1", 1], "MODEL"),
    ],
)
def test_a_setting_that_a_device_cannot_take_is_named(name, value, said):
    prompt = merging(**SIMILAR)
    prompt["30"]["inputs"][name] = value
    message = refusal(prompt)
    assert said in message and name in message and "30" in message


def test_a_merge_of_a_merge_is_refused():
    prompt = merging()
    prompt["31"] = {**prompt["30"], "inputs": prompt["30"]["inputs"] | {"model": ["30", 0]}}
    prompt["5"]["inputs"]["model"] = ["31", 0]
    assert "merges already" in refusal(prompt)


def torch_frames(network, bundle, rule, inside, keep, photo):
    """The definition: Euler, guidance, a clean first frame, and the desk's merger where `inside` says so."""
    shape = (1, 4, (LENGTH - 1) // 4 + 1, SIDE // 32, SIDE // 32)
    texts = [network.encode_text([text]) for text in ("a red circle moves left", "")]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(SEED))
    score = torch.tensor([3.5 if photo else 2.0])
    sigmas = shifted_sigmas(STEPS, SHIFT)
    x = x * sigmas[0]
    with torch.no_grad():
        first = first_frame(network, bundle) if photo else None
        for index, (now, after) in enumerate(itertools.pairwise(sigmas)):
            time = torch.full((1, shape[2]), now)
            if first is not None:
                x[:, :, :1] = first
                time[:, 0] = 0
            pairs = pair_frames(shape[2], given={0} if photo else (), keep_first_frame=keep)
            velocities = [
                network.denoiser(
                    x,
                    time,
                    context,
                    mask.float(),
                    score,
                    TokenMerger(pairs, rule) if index in inside else None,
                )
                for context, mask in texts
            ]
            x = x + (after - now) * (velocities[1] + GUIDANCE * (velocities[0] - velocities[1]))
        if first is not None:
            x[:, :, :1] = first
        frames = (network.vae.decode(x)[0] + 1) / 2
    return 255 * frames.clamp(0, 1).permute(1, 2, 3, 0).numpy()


@pytest.mark.parametrize(
    ("mode", "rule", "start", "keep", "photo", "inside"),
    [
        (PAIRS, MergeRule(), 0.0, False, False, range(3)),
        (PAIRS, MergeRule(), 0.0, False, True, range(3)),
        (SIMILAR, MergeRule(True, share=0.9), 0.0, False, False, range(3)),
        (SIMILAR, MergeRule(True, share=0.9), 0.3, True, False, range(2, 3)),
    ],
)
def test_the_device_merges_as_torch_does(exported, tmp_path, mode, rule, start, keep, photo, inside):
    prompt = merging(prompts.image_to_video if photo else prompts.text_to_video, start, 0.5, keep, **mode)
    prompt["5"]["inputs"] |= {"seed": SEED, "steps": STEPS, "cfg": GUIDANCE}
    plan = exported.compiled(prompt)
    bundle = export_bundle(plan, exported.desk.model_path, tmp_path / "bundle", cache_dir=exported.cache)
    twin = f"denoiser_{mode['mode']}"
    report = self_test(bundle, threads=1)
    assert report[twin].psnr > 100
    components = bundle.manifest["components"]
    assert [stage["weights"] for stage in components[twin]["stages"]] == [
        stage["weights"] for stage in components["denoiser"]["stages"]
    ]

    truth = torch_frames(exported.model, bundle, rule, inside, keep, photo)
    plain = torch_frames(exported.model, bundle, rule, (), keep, photo)
    assert psnr(plain, truth) < 48, "merging has to show"
    result = run_bundle(bundle, {}, output_dir=tmp_path, threads=1)
    assert result.evaluations == 2 * STEPS
    assert psnr(result.frames, truth) > 56
    batched = run_bundle(bundle, {}, output_dir=tmp_path, threads=1, batch_guidance=True)
    assert psnr(batched.frames, truth) > 56
    budget = 2**31
    budgeted = run_bundle(bundle, {}, output_dir=tmp_path, threads=1, memory_budget=budget)
    assert np.array_equal(budgeted.frames, result.frames)
    passes = {name: budgeted.weights[name].passes for name in (twin, "denoiser")}
    assert passes == {twin: len(inside), "denoiser": STEPS - len(inside)}


def test_a_plan_names_its_twin(exported, tmp_path):
    plan = exported.compiled(merging())
    bundle = export_bundle(plan, exported.desk.model_path, tmp_path / "bundle", cache_dir=exported.cache)
    manifest = bundle.manifest
    (op,) = [op for op in manifest["plan"] if op["op"] == "denoise"]
    op["merge"]["component"] = "nothing"
    with pytest.raises(ManifestError, match="nothing"):
        serialise(manifest)
    op["merge"]["component"] = "vae_decoder"
    with pytest.raises(ManifestError, match="denoiser"):
        serialise(manifest)


def test_a_twin_takes_its_denoisers_weights_in_their_precision(exported, tmp_path):
    plan = exported.compiled(merging())
    bundle = export_bundle(
        plan,
        exported.desk.model_path,
        tmp_path / "bundle",
        cache_dir=exported.cache,
        precision=parse_precision("denoiser=int8"),
    )
    base, twin = (bundle.manifest["components"][name] for name in ("denoiser", "denoiser_pairs"))
    assert [(stage["weights"], stage["precision"]) for stage in twin["stages"]] == [
        (stage["weights"], stage["precision"]) for stage in base["stages"]
    ]
    assert "int8" in {stage["precision"] for stage in twin["stages"]}
    report = self_test(bundle, threads=1)
    assert 34 <= report["denoiser_pairs"].psnr < 100
    full = export_bundle(
        plan, exported.desk.model_path, tmp_path / "full", cache_dir=exported.cache
    ).manifest["memory"]["weights"]
    assert bundle.manifest["memory"]["weights"] < full
