"""A bundle for devices without 3-D convolutions: the same video from the same weights."""

import numpy as np
import onnx
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.errors import ParityError
from comfyui_pocketvideo.pocketvideo.export.flat_convolutions import has_deep_convolutions


def deep_graphs(bundle):
    return {
        path
        for component in bundle.manifest["components"].values()
        for path in component["graphs"].values()
        if has_deep_convolutions(onnx.load_from_string(bundle.read(path)))
    }


def test_no_3d_convolution_is_left_and_the_video_stays(exported, tmp_path):
    bundle = export_bundle(
        exported.plan,
        exported.desk.model_path,
        tmp_path / "flat",
        cache_dir=exported.cache,
        flat_convolutions=True,
    )
    assert deep_graphs(exported.bundle) == {"vae_decoder/decoder.onnx", "vae_encoder/encoder.onnx"}
    assert not deep_graphs(bundle)
    bundle.verify()
    assert min(figure.psnr for figure in self_test(bundle, threads=1).values()) > 100
    values = {"seed": "7", "steps": 2}
    flat = run_bundle(bundle, values, output_dir=tmp_path / "a", threads=1).frames.astype(int)
    usual = run_bundle(exported.bundle, values, output_dir=tmp_path / "b", threads=1).frames.astype(int)
    assert np.abs(flat - usual).max() <= 1
    digests = [
        {entry["sha256"] for path, entry in each.files.items() if path.endswith(".safetensors")}
        for each in (bundle, exported.bundle)
    ]
    assert digests[0] == digests[1], "a device that has one bundle is not sent its weights again"


def test_convolutions_that_went_wrong_stop_the_export(exported, tmp_path, monkeypatch):
    from comfyui_pocketvideo.pocketvideo.export import flat_export
    from comfyui_pocketvideo.pocketvideo.export.cache import ExportCache

    def wrong(graph):
        made = flat_convolutions(graph)
        nodes = made.graph.node
        next(node for node in nodes if node.op_type == "Conv" and len(node.input) == 3).input.pop()
        return made  # without a bias

    flat_convolutions = flat_export.flatten
    monkeypatch.setattr(flat_export, "flatten", wrong)
    # The cache may hold the decoder's flat twin, too, of another test.
    source = next(
        folder.parent
        for folder in (exported.cache / "components").glob("*/vae_decoder")
        if any(has_deep_convolutions(onnx.load(path)) for path in folder.glob("*.onnx"))
    )
    _, entry = ExportCache(exported.cache).component(source.name)
    with pytest.raises(ParityError, match="vae_decoder with flat convolutions differs"):
        flat_export.flat_components(
            {"vae_decoder": (source, entry)}, ExportCache(tmp_path / "cache"), lambda words: None
        )
