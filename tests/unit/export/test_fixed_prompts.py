"""Prompts that leave the desk encoded: the same video, no text encoder on the device, nothing to edit."""

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import ManifestError, open_tensors, psnr, write_bundle
from comfyui_pocketvideo.mobile_runtime.engine import EngineError, InputError, run_bundle, self_test
from comfyui_pocketvideo.pocketvideo import models
from comfyui_pocketvideo.pocketvideo.export import WorkflowError, compile_workflow
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.fixed_prompts import with_prompts
from safetensors.numpy import save_file

from unit.export import prompts

STEPS = {"steps": 2}


def fixed(exported, out, text="a red circle moves left"):
    prompt = prompts.image_to_video()
    prompt["2"]["inputs"]["text"] = text
    return export_bundle(
        exported.compiled(prompt), exported.desk.model_path, out, cache_dir=exported.cache, prompts="fixed"
    )


@pytest.fixture(scope="module")
def bundle(exported, tmp_path_factory):
    return fixed(exported, tmp_path_factory.mktemp("fixed") / "bundle")


def test_the_video_is_that_of_the_editable_bundle(exported, bundle, tmp_path):
    theirs = run_bundle(exported.bundle, STEPS, output_dir=tmp_path / "editable")
    ours = run_bundle(bundle, STEPS, output_dir=tmp_path / "fixed")

    assert psnr(ours.frames.astype(np.float32), theirs.frames.astype(np.float32)) >= 60


def test_the_text_encoder_stays_at_home(exported, bundle):
    assert set(exported.bundle.manifest["components"]) - set(bundle.manifest["components"]) == {
        "text_encoder"
    }
    assert not any("tokenizer" in path or path.startswith("text_encoder") for path in bundle.files)
    features = open_tensors(bundle.path("inputs/prompt.safetensors"))
    length = exported.model.max_tokens
    assert features["context"].shape == (1, length, 32)
    assert 0 < features["mask"].sum() < length
    # Activations depend on the length of the prompt, which no component names any more.
    assert bundle.manifest["memory"]["activations_estimate"] > 0
    self_test(bundle)


def test_a_fixed_prompt_cannot_be_edited_and_the_rest_can(bundle, tmp_path):
    assert set(bundle.manifest["inputs"]) == {"seed", "steps", "guidance", "motion", "photo"}
    with pytest.raises(InputError, match="no input 'prompt'"):
        run_bundle(bundle, {"prompt": "a blue star"}, output_dir=tmp_path)


def test_another_fixed_prompt_costs_its_features_and_the_workflow(exported, bundle, tmp_path):
    other = fixed(exported, tmp_path / "bundle", "a blue star spins")
    held = {entry["sha256"] for entry in bundle.files.values()}
    sent = {path: entry["bytes"] for path, entry in other.files.items() if entry["sha256"] not in held}

    assert set(sent) == {"inputs/prompt.safetensors", "workflow.json"}
    assert sum(sent.values()) + len(other.data) < 100_000


def test_a_prompt_is_encoded_once_per_model(exported, bundle, tmp_path, monkeypatch):
    def no_model(path):
        raise AssertionError("a cached export must not load the model")

    monkeypatch.setattr(models, "load_model", no_model)

    assert fixed(exported, tmp_path / "bundle").id == bundle.id


def test_prompts_that_are_alike_are_one_file():
    prompt = prompts.text_to_video()
    prompt["2"]["inputs"]["text"] = ""
    plan = with_prompts(compile_workflow(prompt, None, prompts.Desk()), "fixed")

    assert plan.texts == {"inputs/prompt.safetensors": ""}
    assert "text_encoder" not in plan.components


def test_editable_prompts_leave_the_plan_alone_and_other_words_are_refused():
    plan = compile_workflow(prompts.text_to_video(), None, prompts.Desk())

    assert with_prompts(plan, "editable") is plan
    with pytest.raises(WorkflowError, match="editable or fixed"):
        with_prompts(plan, "frozen")


def copied(bundle, folder):
    for path in bundle.files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(bundle.read(path))
    return folder


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"context": (1, 4, 32)}, "does not hold text features"),
        ({"context": (1, 4, 32), "mask": (1, 5)}, "do not fit together"),
        ({"context": (2, 4, 32), "mask": (2, 4)}, "do not fit together"),
    ],
)
def test_features_of_another_form_are_refused(bundle, tmp_path, tensors, said):
    folder = copied(bundle, tmp_path / "bundle")
    save_file(
        {name: np.zeros(shape, np.float32) for name, shape in tensors.items()},
        folder / "inputs/prompt.safetensors",
    )
    broken = write_bundle(folder, bundle.manifest)
    with pytest.raises(EngineError, match=said):
        run_bundle(broken, STEPS, output_dir=tmp_path / "out")


@pytest.mark.parametrize(
    ("path", "said"),
    [("inputs/gone.safetensors", "does not list"), ("inputs/photo.png", "where a .safetensors file belongs")],
)
def test_features_have_to_be_among_the_bundles_files(bundle, tmp_path, path, said):
    folder = copied(bundle, tmp_path / "bundle")
    plan = [op | {"features": path} if op["op"] == "load_text" else op for op in bundle.manifest["plan"]]
    with pytest.raises(ManifestError, match=said):
        write_bundle(folder, bundle.manifest | {"plan": plan})
