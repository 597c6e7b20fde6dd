"""Export forms compute what the originals compute, and the gates refuse what they should."""

import numpy as np
import onnx
import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export import ExportError, ParityError
from comfyui_pocketvideo.pocketvideo.export import rearrange as r
from comfyui_pocketvideo.pocketvideo.export.forms import export_form
from comfyui_pocketvideo.pocketvideo.export.graphs import export_stage, stage_weights, weights_used
from comfyui_pocketvideo.pocketvideo.export.lint import check as lint
from comfyui_pocketvideo.pocketvideo.export.memory import peak_activations
from comfyui_pocketvideo.pocketvideo.export.networks import component
from comfyui_pocketvideo.pocketvideo.export.parity import Check
from comfyui_pocketvideo.pocketvideo.export.tokenizer import device_tokenizer
from diffusers.models.autoencoders.autoencoder_kl_ltx import LTXVideoDownsampler3d, LTXVideoUpsampler3d
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from unit.export.conftest import tiny_model

AXES = {
    "frames": (r.fold_frames, r.unfold_frames, 2),
    "height": (r.fold_height, r.unfold_height, 3),
    "width": (r.fold_width, r.unfold_width, 4),
}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_unfolding_undoes_folding_and_folds_as_a_permutation_does(axis, step):
    fold, unfold, index = AXES[axis]
    sizes = [2, 3, 4, 5, 6]
    sizes[index] *= step
    x = torch.arange(np.prod(sizes), dtype=torch.float32).reshape(sizes)
    folded = fold(x, step)
    expected = x.unflatten(index, (-1, step)).movedim(index + 1, 2).flatten(1, 2)
    assert torch.equal(folded, expected)
    assert torch.equal(unfold(folded, step), x)


@pytest.mark.parametrize("stride", [(1, 2, 2), (2, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("residual", [False, True])
def test_the_upsampler_form_equals_diffusers(stride, residual):
    source = LTXVideoUpsampler3d(
        16, stride=stride, residual=residual, upscale_factor=2 if residual else 1
    ).eval()
    x = torch.randn(1, 16, 3, 4, 5)
    with torch.no_grad():
        assert torch.equal(export_form(source)(x), source(x))


@pytest.mark.parametrize("stride", [(1, 2, 2), (2, 1, 1), (2, 2, 2)])
def test_the_downsampler_form_equals_diffusers(stride):
    source = LTXVideoDownsampler3d(8, 16, stride=stride).eval()
    x = torch.randn(1, 8, 3 if stride[0] == 2 else 4, 4, 6)
    with torch.no_grad():
        torch.testing.assert_close(export_form(source)(x), source(x), rtol=1e-5, atol=1e-6)


def test_an_export_form_leaves_its_source_alone():
    model = tiny_model()
    before = {name: value.clone() for name, value in model.denoiser.state_dict().items()}
    export_form(model.denoiser)
    assert all(torch.equal(value, before[name]) for name, value in model.denoiser.state_dict().items())
    assert isinstance(model.denoiser.blocks[0].attn.qkv, torch.nn.Linear)


@pytest.fixture(scope="module")
def epilogue():
    """The smallest graph, and its stage."""
    part = component(tiny_model(), "denoiser")
    stage = part.stages[-1]
    return part, stage, export_stage(stage, part.axes, "denoiser/epilogue")


def test_equal_weights_are_not_merged(exported):
    model = tiny_model()
    block = component(model, "denoiser").stages[1]
    # The norms of the tiny model are all ones: an exporter that merges equal initializers would keep one.
    graph = exported.bundle.read("denoiser/linear.onnx")
    assert set(weights_used(graph, block.inputs)) == set(stage_weights(block.build()))
    assert "block.attn.q_norm.weight" in weights_used(graph, block.inputs)
    assert "block.attn.k_norm.weight" in weights_used(graph, block.inputs)


def test_exporting_twice_gives_the_same_bytes(epilogue):
    part, stage, graph = epilogue
    assert export_stage(stage, part.axes, "denoiser/epilogue") == graph


def test_a_stage_that_differs_stops_the_export_and_is_named(epilogue, tmp_path):
    part, stage, graph = epilogue
    path = tmp_path / "graph.onnx"
    path.write_bytes(graph)
    check = Check(part, 7)
    for values in check.torch_values:
        grid = values["latent"].shape[2:]
        values["tokens"] = torch.randn(values["latent"].shape[0], *grid, 24)
        values["time_embed"] = torch.randn(values["latent"].shape[0], grid[0], 1, 1, 24)
    for index, values in enumerate(check.onnx_values):
        values.update({k: v.numpy() for k, v in check.torch_values[index].items()})
    module = stage.build()
    weights = {name: value.numpy() for name, value in stage_weights(module).items()}
    assert check.stage(stage, module, path, weights) > 100
    weights["final_layer.linear.weight"] = weights["final_layer.linear.weight"] * np.float32(1.01)
    with pytest.raises(ParityError, match=r"denoiser .* stage epilogue, output velocity: \d+\.\d dB"):
        check.stage(stage, module, path, weights)


def test_a_chain_that_differs_from_the_untouched_network_stops_the_export(exported):
    part = component(exported.model, "text_encoder")
    check = Check(part, 32)
    with torch.no_grad():
        for given_values, values in zip(check.inputs, check.onnx_values, strict=True):
            values["context"] = part.reference(**given_values).numpy()
    assert check.finish() == float("inf")
    for values in check.onnx_values:
        values["context"] = values["context"] * np.float32(0.99)
    with pytest.raises(ParityError, match="text_encoder"):
        check.finish()


def test_a_model_without_text_has_no_context_among_its_inputs():
    part = component(tiny_model(cross_attention=False), "denoiser")
    assert part.inputs == ("latent", "timestep", "motion")
    assert part.stages[0].outputs == ("tokens", "modulation", "time_embed", "cos", "sin")
    values = {
        "latent": torch.randn(1, 4, 2, 3, 3),
        "timestep": torch.rand(1, 2),
        "motion": torch.ones(1),
    }
    truth = part.reference(**values)
    for stage in part.stages:
        made = stage.build()(*(values[name] for name in stage.inputs))
        values.update(zip(stage.outputs, made if isinstance(made, tuple) else (made,), strict=True))
    torch.testing.assert_close(values["velocity"], truth, rtol=1e-4, atol=1e-5)


def test_a_vae_that_needs_noise_while_decoding_is_refused():
    model = tiny_model()
    model.vae.model.register_to_config(decoder_inject_noise=[True, False, False])
    with pytest.raises(ExportError, match="decoder_inject_noise"):
        component(model, "vae_decoder")


def graph_of(nodes, shape, initializers=(), out_rank=None):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * (out_rank or len(shape)))
    graph = helper.make_graph(nodes, "g", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_t10_lint_refuses_baked_weights():
    weight = onnx.numpy_helper.from_array(np.arange(2048, dtype=np.float32), "w")
    model = graph_of([helper.make_node("Add", ["x", "w"], ["y"])], [2048], [weight])
    with pytest.raises(ExportError, match="constant w holds 8192 bytes"):
        lint(model, "test")
    ones = onnx.numpy_helper.from_array(np.ones(2048, dtype=np.float32), "w")
    lint(graph_of([helper.make_node("Add", ["x", "w"], ["y"])], [2048], [ones]), "test")


def test_lint_refuses_six_axes():
    with pytest.raises(ExportError, match="6 axes"):
        lint(graph_of([helper.make_node("Relu", ["x"], ["y"])], [1, 2, 3, 4, 5, 6]), "test")


def test_t10_lint_refuses_operators_that_devices_refuse():
    with pytest.raises(ExportError, match="NonZero"):
        nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=1)]
        lint(graph_of(nodes, [4], out_rank=2), "test")


def test_peak_activations_counts_what_is_alive_together():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("Abs", ["b"], ["c"]),
        helper.make_node("Add", ["c", "x"], ["y"]),
    ]
    model = graph_of(nodes, ["n", 10])
    # x, and two values beside it: a and b, then b and c, then c and y.
    assert peak_activations(model.SerializeToString(), {"n": 7}, frozenset()) == 3 * 4 * 70


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80))
def test_the_device_tokenizer_reads_prompts_as_the_desk_does(text):
    from tokenizers import Tokenizer

    model = TOKENIZED
    ids, mask = model.tokenize([text])
    found = Tokenizer.from_str(DEVICE_TOKENIZER).encode(text).ids
    if text.lower() != text.casefold() or len(text.lower()) != len(text):
        return  # Rust and Python lower a few letters differently; such a prompt may differ in one token.
    assert found == ids[0, : int(mask.sum())].tolist()


TOKENIZED = tiny_model()
DEVICE_TOKENIZER = device_tokenizer(TOKENIZED)
