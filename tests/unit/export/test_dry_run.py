"""Plan only: what an export would hold, send and need, told before anything is exported."""

import json

import pytest
from comfyui_pocketvideo.pocketvideo import models
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import main
from comfyui_pocketvideo.pocketvideo.export.dry_run import RUNTIME_BYTES, DeviceLimits, describe, plan_only
from comfyui_pocketvideo.pocketvideo.export.precision import parse_precision

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE, Desk, tiny_model


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


@pytest.mark.parametrize(("level", "share"), [("fp16", 0.5), ("int8", 0.28), ("int4", 0.16)])
def test_lower_precision_takes_less(exported, level, share):
    full, lower = planned(exported), planned(exported, precision=parse_precision(f"denoiser={level}"))
    weights = {part["name"]: part["weights"] for part in full["components"]}

    for part in lower["components"]:
        expected = weights[part["name"]] * (share if part["name"] == "denoiser" else 1)
        assert part["weights"] == pytest.approx(expected, rel=0.05)
    assert lower["notes"]


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
