"""Writing bundles: what is reused, what stops an export, what a bundle may hold."""

import json
import threading
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle
from comfyui_pocketvideo.pocketvideo import models
from comfyui_pocketvideo.pocketvideo.export import ExportCancelled, ExportError
from comfyui_pocketvideo.pocketvideo.export.__main__ import main
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.cache import ExportCache
from comfyui_pocketvideo.pocketvideo.export.modelfile import read_config, read_geometry
from comfyui_pocketvideo.pocketvideo.training.data.example import example_frame
from PIL import Image

from unit.export import prompts


def no_model(path):
    raise AssertionError("a cached export must not load the model")


def export(exported, plan, out, **more):
    return export_bundle(plan, exported.desk.model_path, out, cache_dir=exported.cache, **more)


def test_another_prompt_changes_only_the_manifest_and_the_workflow(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_model", no_model)
    prompt = prompts.image_to_video()
    prompt["2"]["inputs"]["text"] = "a blue square grows"
    second = export(exported, exported.compiled(prompt), tmp_path / "bundle")
    before = {path: entry["sha256"] for path, entry in exported.bundle.files.items()}
    after = {path: entry["sha256"] for path, entry in second.files.items()}
    assert set(before) == set(after)
    assert {path for path in before if before[path] != after[path]} == {"workflow.json"}
    assert second.id != exported.bundle.id
    second.verify()


def test_the_same_plan_gives_the_same_bundle(exported, tmp_path):
    assert export(exported, exported.plan, tmp_path / "bundle").id == exported.bundle.id


def test_the_manifest_says_what_the_plan_and_the_model_say(exported):
    manifest = exported.bundle.manifest
    assert manifest["plan"] == list(exported.plan.ops)
    assert manifest["inputs"] == dict(exported.plan.inputs)
    assert manifest["name"] == "tiny"
    assert manifest["license"] == "Apache-2.0"
    assert json.loads(exported.bundle.read("workflow.json")) == exported.plan.workflow
    stages = manifest["components"]["denoiser"]["stages"]
    assert [stage["graph"] for stage in stages] == ["prologue", "linear", "linear", "softmax", "epilogue"]
    assert len({stage["weights"] for stage in stages}) == 5
    memory = manifest["memory"]
    weights = sum(entry["bytes"] for path, entry in exported.bundle.files.items() if is_weights(path))
    assert 0 < memory["largest_stage"] < memory["weights"] <= weights
    # The decoded video alone takes this much.
    assert memory["activations_estimate"] >= 4 * 3 * 9 * 96 * 96


def is_weights(path):
    return path.endswith(".safetensors") and path != "self_test.safetensors"


def test_a_decoder_that_works_in_tiles_is_reckoned_with_less_memory(exported, tmp_path):
    estimates, shapes = [], []
    for name, tiles in (("VAEDecode", {}), ("VAEDecodeTiled", {"tile_size": 64, "temporal_size": 8})):
        prompt = prompts.text_to_video()
        prompt["6"] = prompts.node(name, "Decode", samples=["5", 0], vae=["1", 2], **tiles)
        prompt["5"]["inputs"]["steps"] = 1
        plan = exported.compiled(prompt)
        bundle = export_bundle(plan, exported.desk.model_path, tmp_path / name, cache_dir=exported.cache)
        estimates.append(bundle.manifest["memory"]["activations_estimate"])
        shapes.append(run_bundle(bundle, {}, output_dir=tmp_path, threads=1).frames.shape)
    assert estimates[1] < estimates[0] / 2
    assert shapes[0] == shapes[1]


def test_the_manifest_names_the_version_of_the_pack(exported):
    with (Path(__file__).parents[3] / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert exported.bundle.manifest["created_by"] == f"pocketvideo {version}"


def test_nothing_in_a_bundle_names_this_machine(exported):
    for path in exported.bundle.files:
        data = exported.bundle.read(path)
        for place in (Path(__file__).parents[3], Path.home(), exported.cache.parent):
            assert str(place).encode() not in data, path


def test_no_graph_holds_weights(exported):
    graphs = [path for path in exported.bundle.files if path.endswith(".onnx")]
    assert len(graphs) == 9
    for path in graphs:
        model = onnx.load_from_string(exported.bundle.read(path))
        for tensor in model.graph.initializer:
            value = onnx.numpy_helper.to_array(tensor)
            assert value.nbytes <= 1024 or (value == value.flat[0]).all(), (path, tensor.name)
        assert not model.metadata_props
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_a_cancelled_export_goes_on_from_what_is_finished(exported, tmp_path, monkeypatch):
    cancel, seen = threading.Event(), []
    cache = tmp_path / "cache"

    def progress(done, total, words):
        seen.append(words)
        if "vae_encoder" in words:
            cancel.set()

    def again(out, progress, cancel=None):
        return export_bundle(
            exported.plan, exported.desk.model_path, out, cache_dir=cache, progress=progress, cancel=cancel
        )

    # Graphs come from the shared cache, so that this test exports none a second time.
    (cache / "graphs").parent.mkdir()
    (cache / "graphs").symlink_to(exported.cache / "graphs")
    with pytest.raises(ExportCancelled):
        again(tmp_path / "bundle", progress, cancel)
    assert any("text_encoder" in words for words in seen)
    assert not any("denoiser" in words for words in seen)
    assert not (tmp_path / "bundle" / "manifest.json").exists()
    seen.clear()
    bundle = again(tmp_path / "bundle", lambda done, total, words: seen.append((done, total, words)))
    assert not any("text_encoder" in words for _, _, words in seen)
    assert any("denoiser" in words for _, _, words in seen)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    assert bundle.id == exported.bundle.id


def test_a_damaged_cache_file_is_noticed(exported, tmp_path):
    cache = ExportCache(tmp_path)

    def fill(folder):
        (folder / "a.bin").write_bytes(b"good")
        digest = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"
        return {"files": {"a.bin": [digest, 4]}}

    folder, _ = cache.store("key", fill)
    assert cache.component("key") is not None
    (folder / "a.bin").write_bytes(b"evil")
    assert cache.component("key") is None
    assert cache.component("other") is None


def test_the_cache_keeps_to_its_limit(tmp_path):
    import os

    cache = ExportCache(tmp_path, limit=2500)
    for age, key in enumerate(("old", "middle", "new")):
        folder, _ = cache.store(
            key, lambda folder: {"files": {}, "size": (folder / "x").write_bytes(b"0" * 1000)}
        )
        os.utime(folder / "entry.json", (1000 + age, 1000 + age))
    cache.store("newest", lambda folder: {"files": {}})
    assert cache.component("old") is None
    assert cache.component("new") is not None


def test_a_folder_with_other_files_is_not_emptied(exported, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="other files"):
        export(exported, exported.plan, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_that_is_no_photo_is_named(exported, tmp_path, monkeypatch):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    monkeypatch.setattr(exported.desk, "photo", broken)
    plan = exported.compiled(prompts.image_to_video())
    with pytest.raises(ExportError, match=r"broken\.png"):
        export(exported, plan, tmp_path / "bundle")


def test_a_photo_is_stored_upright_and_without_transparency(exported, tmp_path, monkeypatch):
    turned = tmp_path / "turned.jpg"
    image = Image.new("RGB", (40, 20), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(turned, exif=exif)
    monkeypatch.setattr(exported.desk, "photo", turned)
    bundle = export(exported, exported.compiled(prompts.image_to_video()), tmp_path / "bundle")
    with Image.open(bundle.path("inputs/photo.png")) as stored:
        assert (stored.size, stored.mode, stored.format) == ((20, 40), "RGB", "PNG")


def test_an_example_frame_is_drawn_into_the_bundle(exported, tmp_path):
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
    bundle = export(exported, exported.compiled(prompt), tmp_path / "bundle")
    with Image.open(bundle.path("inputs/photo.png")) as stored:
        drawn = np.array(stored)
    assert (drawn == example_frame(**words).numpy()).all()
    reddish = (drawn[..., 0] > 150) & (drawn[..., 2] < 120)
    assert 0.03 < reddish.mean() < 0.3


def test_geometry_read_from_the_header_is_the_networks_own(exported):
    geometry = read_geometry(exported.desk.model_path)
    vae = exported.model.vae
    assert (geometry.channels, geometry.spatial, geometry.temporal) == (
        vae.latent_channels,
        vae.spatial_compression,
        vae.temporal_compression,
    )
    assert geometry.shift == 3.0
    assert read_config(exported.desk.model_path)["name"] == "tiny"


def test_the_command_writes_a_bundle(exported, tmp_path, capsys):
    prompt = prompts.text_to_video()
    prompt["4"]["inputs"] |= {"width": 96, "height": 96, "length": 9}
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(prompt))
    arguments = ["--workflow", workflow, "--model", exported.desk.model_path, "--out", tmp_path / "out"]
    arguments += ["--cache", exported.cache]
    assert main([str(value) for value in arguments]) == 0
    assert "bundle" in capsys.readouterr().out
    assert (tmp_path / "out" / "manifest.json").is_file()
    prompt["6"]["class_type"] = "Unknown"
    workflow.write_text(json.dumps(prompt))
    assert main([str(value) for value in arguments]) == 1
    assert '"Decode" (node 6, Unknown)' in capsys.readouterr().err
