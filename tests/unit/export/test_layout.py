"""The other forms of the denoiser's blocks compute what the usual one computes, and pass the same gates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.export import ExportError
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.cache import ExportCache
from comfyui_pocketvideo.pocketvideo.export.components import export_component
from comfyui_pocketvideo.pocketvideo.export.graphs import export_stage, stage_weights
from comfyui_pocketvideo.pocketvideo.export.layout import HEADS, LAYOUTS, USUAL, Form, parse_form
from comfyui_pocketvideo.pocketvideo.export.layout_stages import shaped
from comfyui_pocketvideo.pocketvideo.export.networks import component
from comfyui_pocketvideo.pocketvideo.export.parity import inputs_for
from comfyui_pocketvideo.pocketvideo.export.random_weights import stdit3
from comfyui_pocketvideo.pocketvideo.models.stdit3 import STDIT3_XL2

from unit.export.conftest import tiny_model

FORMS = [Form(layout, heads) for layout in LAYOUTS for heads in HEADS]
OTHERS = [form for form in FORMS if form != USUAL]


def run(part, values):
    values = dict(values)
    with torch.no_grad():
        for stage in part.stages:
            made = stage.build()(*(values[name] for name in stage.inputs))
            values.update(zip(stage.outputs, made if isinstance(made, tuple) else (made,), strict=True))
    return values["velocity"]


@pytest.mark.parametrize("form", OTHERS, ids=str)
@pytest.mark.parametrize("text", [True, False], ids=["text", "no-text"])
def test_every_form_is_the_same_function_of_the_same_weights(form, text):
    part = component(tiny_model(cross_attention=text), "denoiser")
    generator = torch.Generator().manual_seed(0)
    values = {
        "latent": torch.randn(2, 4, 3, 3, 5, generator=generator),
        "timestep": torch.rand(2, 3, generator=generator) * 1000,
        "motion": torch.tensor([1.0, 4.0]),
    }
    if text:
        values["context"] = torch.randn(2, 7, 32, generator=generator)
        values["context_mask"] = torch.tensor([[1.0] * 7, [1.0] * 3 + [0.0] * 4])
    other = shaped(part, form)
    with torch.no_grad():
        truth = part.reference(**values)
    torch.testing.assert_close(run(other, values), truth, rtol=1e-4, atol=1e-4)
    for usual, stage in zip(part.stages, other.stages, strict=True):
        sizes = {name: value.numel() for name, value in stage_weights(usual.build()).items()}
        assert {name: value.numel() for name, value in stage_weights(stage.build()).items()} == sizes


def exported_block(form: Form, kind: str) -> tuple[onnx.ModelProto, float]:
    """One block's graph in a form, and its PSNR against the usual form in torch at sizes that are odd."""
    usual = component(tiny_model(), "denoiser")
    part = shaped(usual, form)
    index = [stage.graph for stage in part.stages].index(kind)
    sizes = {"batch": 2, "frames": 3, "height": 5, "width": 3, "length": 7}
    values = inputs_for(usual, sizes, 0)
    for stage in part.stages[:index]:
        made = stage.build()(*(values[name] for name in stage.inputs))
        values.update(zip(stage.outputs, made if isinstance(made, tuple) else (made,), strict=True))
    stage = part.stages[index]
    graph = export_stage(stage, part.axes, kind)
    module = stage.build()
    feed = {name: value.numpy() for name, value in {**values, **stage_weights(module)}.items()}
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(None, {value.name: feed[value.name] for value in session.get_inputs()})[0]
    truth = usual.stages[index].build()(*(turned_back(values, name, form) for name in stage.inputs))
    if form.layout == "channels":
        truth = truth.permute(0, 4, 1, 2, 3)
    return onnx.load_from_string(graph), psnr(found, truth.numpy())


def turned_back(values, name, form):
    if form.layout == "tokens":
        return values[name]
    order = {
        "tokens": (0, 2, 3, 4, 1),
        "modulation": (0, 2, 3, 4, 1),
        "cos": (1, 2, 3, 0),
        "sin": (1, 2, 3, 0),
    }
    return values[name].permute(order[name]) if name in order else values[name]


def test_einsums_pass_the_gate_as_einsums():
    graph, figure = exported_block(Form("tokens", "einsum"), "linear")
    assert figure > 60
    assert [node.op_type for node in graph.graph.node].count("Einsum") == 5


@pytest.mark.parametrize("form", [Form("channels", "batched"), Form("tokens", "tiled")], ids=str)
def test_a_network_that_has_no_other_form_is_named(form):
    small = replace(STDIT3_XL2, depth=1, width=96, heads=2)
    part = shaped(stdit3(small, 0), form)
    with pytest.raises(ExportError, match="has no form"):
        [stage.build() for stage in part.stages]


def test_forms_are_read():
    assert parse_form("channels") == Form("channels", "batched")
    assert parse_form("einsum , channels") == Form("channels", "einsum")
    assert parse_form("tokens") == USUAL
    with pytest.raises(ExportError, match="no form 'fast'"):
        parse_form("fast")


def test_a_bundle_in_another_form_makes_the_same_video(exported, tmp_path):
    bundle = export_bundle(
        exported.plan,
        exported.desk.model_path,
        tmp_path / "bundle",
        cache_dir=exported.cache,
        form=Form("channels", "tiled"),
    )
    assert min(report.psnr for report in self_test(bundle).values()) > 60
    graph = onnx.load_from_string(bundle.read("denoiser/softmax.onnx"))
    ops = [node.op_type for node in graph.graph.node]
    # qkv, proj, q, proj of the text, two of the feed-forward, and the depthwise one.
    assert ops.count("Conv") == 7
    # Two products for each of two heads of both attentions, and the text's keys and values.
    assert ops.count("MatMul") == 9
    found = run_bundle(bundle, output_dir=tmp_path / "a").frames
    expected = run_bundle(exported.bundle, output_dir=tmp_path / "b").frames
    assert psnr(np.asarray(found), np.asarray(expected)) > 60


def test_merging_has_no_other_form(exported, tmp_path):
    with pytest.raises(ExportError, match=r"Merging is exported in the form tokens,batched alone"):
        export_component(
            tmp_path,
            model=exported.model,
            name="denoiser_pairs",
            cache=ExportCache(tmp_path),
            code="",
            step=lambda words: None,
            twin_of=(tmp_path, "denoiser"),
            form=Form("tokens", "tiled"),
        )
