"""Plan only: what an export would hold, send and need, told before anything is exported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo import models
from comfyui_pocketvideo.pocketvideo.export import ExportError, compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import main
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.checkpoints import PartFile
from comfyui_pocketvideo.pocketvideo.export.dry_run import (
    RUNTIME_BYTES,
    SHARES,
    DeviceLimits,
    describe,
    plan_only,
)
from comfyui_pocketvideo.pocketvideo.export.layout import Form
from comfyui_pocketvideo.pocketvideo.export.precision import higher, parse_precision

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE, Desk, tiny_model

# A denoise op that runs the denoiser's twin.
TWIN = {"op": "denoise", "merge": {"component": "denoiser_pairs"}}


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    """A dry run reads headers only: whoever loads a model fails."""

    def loading(*_, **__):
        raise AssertionError("a dry run must not load weights")

    monkeypatch.setattr(models, "load_model", loading)
    monkeypatch.setattr(models.checkpoint, "read_model_file", loading)


def planned(exported, plan=None, cache=None, **more):
    report = plan_only(
        exported.plan if plan is None else plan,
        exported.desk.model_path,
        cache_dir=exported.cache if cache is None else cache,
        **more,
    )
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    return report


def export(exported, folder, **more):
    return export_bundle(exported.plan, exported.desk.model_path, folder, cache_dir=exported.cache, **more)


def sizes(bundle):
    return {path: entry["bytes"] for path, entry in bundle.files.items()}


def test_what_was_exported_before_is_told_to_the_byte(exported):
    report = planned(exported)
    files = sizes(exported.bundle)

    assert report["exact"]
    assert report["bytes"] - report["files"]["manifest"] == sum(files.values())
    assert report["files"]["self_test"] == files["self_test.safetensors"]
    assert report["files"]["photos"] == files["inputs/photo.png"]
    assert report["files"]["manifest"] == pytest.approx(len(exported.bundle.data), rel=0.2)
    memory = exported.bundle.manifest["memory"]
    assert sum(part["weights"] for part in report["components"]) == memory["weights"]
    assert max(part["activations"] for part in report["components"]) == memory["activations_estimate"]
    assert report["inputs"] == exported.bundle.manifest["inputs"]


def test_what_was_not_exported_is_estimated_from_shapes_and_nothing_is_written(exported, tmp_path):
    report, known = planned(exported, cache=tmp_path), planned(exported)

    assert not report["exact"]
    assert report["send"]["at_most"]
    assert list(tmp_path.iterdir()) == []
    for guess, truth in zip(report["components"], known["components"], strict=True):
        assert guess["name"] == truth["name"]
        assert guess["stages"] == truth["stages"]
        assert guess["weights"] == pytest.approx(truth["weights"], rel=0.05)
        assert guess["largest_stage"] == pytest.approx(truth["largest_stage"], rel=0.05)
        assert truth["activations"] / 3 < guess["activations"] < truth["activations"] * 3
    for kind in ("weights", "self_test", "photos", "workflow", "tokenizers"):
        assert report["files"][kind] == pytest.approx(known["files"][kind], rel=0.1), kind


def test_files_that_the_device_has_are_not_sent_again(exported):
    held = {entry["sha256"] for entry in exported.bundle.files.values()}
    same = planned(exported, held=held)
    prompt = prompts.image_to_video()
    prompt["2"]["inputs"]["text"] = "a blue square grows"
    other = planned(exported, exported.compiled(prompt), held=held)

    assert same["send"]["bytes"] == same["files"]["manifest"]
    assert other["send"]["bytes"] == other["files"]["manifest"] + other["files"]["workflow"]
    assert planned(exported)["send"]["bytes"] == same["bytes"]


def test_what_does_not_fit_is_said_with_the_reason(exported):
    report = planned(exported)
    least, send = report["memory"]["least"], report["send"]["bytes"]
    assert least > RUNTIME_BYTES

    small = planned(exported, limits=DeviceLimits(memory=least - 1, storage=send - 1))
    assert len(small["problems"]) == 2
    assert "storage left" in small["problems"][0]
    assert report["memory"]["least_component"] in small["problems"][1]
    assert planned(exported, limits=DeviceLimits(memory=least, storage=send))["problems"] == []


def test_a_network_that_does_not_fit_whole_is_streamed(exported, tmp_path):
    wide = tiny_model()
    config = wide.denoiser.config.to_dict() | {"width": 192, "depth": 12, "heads": 4, "mlp_hidden": 384}
    wide.denoiser, wide.config["denoiser"] = models.Denoiser(models.DenoiserConfig(**config)), config
    path = tmp_path / "wide.safetensors"
    models.save_model(path, wide)
    plan = compile_workflow(exported.plan.workflow, None, Desk(path, exported.desk.photo))

    def dry(**limits):
        return plan_only(plan, path, cache_dir=tmp_path / "cache", limits=DeviceLimits(**limits))

    memory = dry()["memory"]
    assert memory["component"] == "denoiser"
    assert RUNTIME_BYTES < memory["least"] < memory["whole"]
    streamed = dry(memory=memory["least"])
    assert streamed["problems"] == []
    assert "streams its blocks" in streamed["notes"][0]
    assert not any("streams" in note for note in dry(memory=memory["whole"])["notes"])


def test_fixed_prompts_leave_the_text_encoder_out(exported):
    fixed, editable = planned(exported, prompts="fixed"), planned(exported)

    assert "text_encoder" not in [part["name"] for part in fixed["components"]]
    assert "tokenizers" not in fixed["files"]
    assert 0 < fixed["files"]["prompts"] < 50_000
    assert set(editable["inputs"]) - set(fixed["inputs"]) == {"prompt", "negative_prompt"}


@pytest.mark.parametrize("level", ["fp16", "int8", "int4"])
def test_lower_precision_takes_less(exported, level):
    full, lower = planned(exported), planned(exported, precision=parse_precision(f"denoiser={level}"))
    weights = {part["name"]: part["weights"] for part in full["components"]}

    for part in lower["components"]:
        whole = weights[part["name"]]
        least, most = (SHARES[level], SHARES[higher(level)]) if part["name"] == "denoiser" else (1.0, 1.0)
        assert 0.99 * least * whole <= part["weights"] <= 1.01 * most * whole
    assert (
        any("denoiser begins with" in note and "35 dB" in note for note in lower["notes"]) or level == "int4"
    )
    assert not lower["send"]["at_most"]


def test_what_a_precision_takes_is_near_what_the_export_chooses(exported, tmp_path):
    """`auto` chooses by measuring; the estimate tells where it begins and what it can become."""
    wanted = parse_precision("denoiser=auto:30")
    before = planned(exported, precision=wanted)
    export(exported, tmp_path / "bundle", precision=wanted)
    after = planned(exported, precision=wanted)

    assert not before["exact"] and after["exact"]
    guess, truth = (
        {part["name"]: part["weights"] for part in each["components"]} for each in (before, after)
    )
    full = {part["name"]: part["weights"] for part in planned(exported)["components"]}
    assert 0.8 * guess["denoiser"] < truth["denoiser"] < full["denoiser"]
    note = next(note for note in before["notes"] if note.startswith("denoiser begins with"))
    assert "int4" in note and "30 dB" in note and "at most" in note
    assert not any("begins with" in note for note in after["notes"])


def test_flat_convolutions_are_told_to_the_byte_and_send_graphs_alone(exported, tmp_path):
    report = planned(exported, flat_convolutions=True)
    bundle = export(exported, tmp_path / "flat", flat_convolutions=True)

    assert report["exact"]
    assert report["bytes"] - report["files"]["manifest"] == sum(sizes(bundle).values())
    assert report["files"]["graphs"] != planned(exported)["files"]["graphs"]
    assert planned(exported, flat_convolutions=True) == report
    usual = {entry["sha256"] for entry in exported.bundle.files.values()}
    sent = planned(exported, flat_convolutions=True, held=usual)["send"]["bytes"]
    changed = {
        path: size for path, size in sizes(bundle).items() if bundle.files[path]["sha256"] not in usual
    }
    assert sent == report["files"]["manifest"] + sum(changed.values())
    assert changed and all(path.endswith(".onnx") for path in changed)
    more = planned(exported, flat_convolutions=True, cache=tmp_path / "empty")
    assert more["files"]["graphs"] > planned(exported, cache=tmp_path / "empty")["files"]["graphs"]


def test_another_form_has_the_same_weights_and_is_kept_by_itself(exported, tmp_path, monkeypatch):
    form = Form("channels", "tiled")
    usual = {part["name"]: part for part in planned(exported)["components"]}
    shaped = {part["name"]: part for part in planned(exported, form=form)["components"]}

    assert not shaped["denoiser"]["exported"] and usual["denoiser"]["exported"]
    assert shaped["denoiser"]["weights"] == pytest.approx(usual["denoiser"]["weights"], rel=0.05)
    assert shaped["denoiser"]["stages"] == usual["denoiser"]["stages"]
    assert shaped["vae_decoder"] == usual["vae_decoder"]
    monkeypatch.undo()  # An export loads the model.
    export(exported, tmp_path / "shaped", form=form)
    assert planned(exported, form=form)["exact"]


def test_a_form_that_an_export_refuses_is_refused_before(exported):
    with pytest.raises(ExportError, match="Merging is exported in the form tokens,batched alone"):
        planned(exported, replace(exported.plan, ops=(*exported.plan.ops, TWIN)), form=Form("channels"))
    published = replace(exported.plan, parts={"denoiser": PartFile("wan", "denoiser", Path("wan"))})
    with pytest.raises(ExportError, match="Only PocketVideo's own denoiser has the form"):
        planned(exported, published, form=Form("channels"))


def test_the_report_in_words_names_every_component(exported):
    text = describe(planned(exported, limits=DeviceLimits(memory=1)))

    for name in ("text_encoder", "denoiser", "vae_encoder", "vae_decoder", "to send", "does not fit"):
        assert name in text


@pytest.fixture
def command(exported, tmp_path):
    workflow = tmp_path / "workflow.json"
    prompt = prompts.text_to_video()
    prompt["4"]["inputs"] |= {"width": SIDE, "height": SIDE, "length": LENGTH}
    workflow.write_text(json.dumps(prompt))
    model, cache = str(exported.desk.model_path), str(exported.cache)
    return ["--workflow", str(workflow), "--model", model, "--cache", cache, "--plan-only"]


def test_the_command_prints_the_plan_and_says_by_its_status_what_does_not_fit(command, capsys):
    assert main(command) == 0
    assert "to send" in capsys.readouterr().out

    assert main([*command, "--device-memory", "90MB", "--device-storage", "1KB"]) == 2
    assert "does not fit" in capsys.readouterr().out


def test_the_command_gives_the_plan_as_json_and_knows_a_bundle_that_is_there(exported, command, capsys):
    held = str(exported.bundle.path("workflow.json").parent)
    assert main([*command, "--json", "--prompts", "fixed", "--device-bundle", held]) == 0
    report = json.loads(capsys.readouterr().out)

    assert [part["name"] for part in report["components"]] == ["denoiser", "vae_decoder"]
    assert report["send"]["bytes"] < report["bytes"]


@pytest.mark.parametrize("wrong", [["--out", "somewhere"], ["--device-memory", "much"]])
def test_the_command_refuses_what_makes_no_sense(command, wrong):
    with pytest.raises(SystemExit):
        main([*command, *wrong])
