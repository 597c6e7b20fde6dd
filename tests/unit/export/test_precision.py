"""Fewer bits: what is packed is what runs, the measured choice, and bundles that prove themselves."""

from __future__ import annotations

import json
import logging
import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import check_graph, open_tensors, psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo import models
from comfyui_pocketvideo.pocketvideo.export import ExportCancelled, ExportError, ParityError
from comfyui_pocketvideo.pocketvideo.export.__main__ import main
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.precision import Wanted, first_choice, parse_precision
from comfyui_pocketvideo.pocketvideo.export.precision_choice import choose, decibels, raise_to
from comfyui_pocketvideo.pocketvideo.export.precision_graphs import Format, formats, pack, rewrite
from comfyui_pocketvideo.pocketvideo.export.precision_run import Variants
from comfyui_pocketvideo.pocketvideo.export.precision_weights import (
    pack_fp16,
    pack_int4,
    pack_int8,
    unpack_int4,
    unpack_int8,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

RANDOM = np.random.default_rng(0)
SIZES = {"w": (40, 36), "kernel": (8, 36, 3, 3), "thin": (64, 1, 3, 3), "table": (50, 40), "odd": (256, 256)}


def weights() -> dict[str, np.ndarray]:
    return {name: RANDOM.standard_normal(shape).astype(np.float32) for name, shape in SIZES.items()}


def every_role() -> onnx.ModelProto:
    """A linear layer, a convolution, a depthwise one, a table and a weight that is used in another way."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["linear"]),
        helper.make_node("Conv", ["image", "kernel"], ["conv"]),
        helper.make_node("Conv", ["deep", "thin"], ["depthwise"], group=64),
        helper.make_node("Relu", ["odd"], ["other"]),
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in SIZES.items()]
    given += [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "n"]),
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 36, 5, 5]),
        helper.make_tensor_value_info("deep", TensorProto.FLOAT, ["b", 64, 4, 4]),
    ]
    made = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
        for name, rank in (("linear", 3), ("conv", 4), ("depthwise", 4), ("other", 2))
    ]
    graph = helper.make_graph(nodes, "g", given, made)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(graph: bytes, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {value.name: feed[value.name] for value in session.get_inputs()})


@pytest.mark.parametrize("level", ["fp16", "int8", "int4"])
def test_a_rewritten_graph_computes_with_what_the_packed_weights_stand_for(level: str) -> None:
    original, held = every_role(), weights()
    chosen = formats(original, frozenset(SIZES), level)
    expected_levels = {
        "fp16": {"w": "fp16", "kernel": "fp16", "thin": "fp16", "table": "fp16", "odd": "fp16"},
        "int8": {"w": "int8", "kernel": "int8", "thin": "fp16", "table": "int8", "odd": "fp16"},
        "int4": {"w": "int4", "kernel": "int8", "thin": "fp16", "table": "int8", "odd": "fp16"},
    }[level]
    assert {name: found.level for name, found in chosen.items()} == expected_levels
    packed = pack(held, chosen)
    for name, found in chosen.items():
        tensors = (value for key, value in packed.items() if key in (name, name + ".scale"))
        assert sum(value.nbytes for value in tensors) == found.bytes(SIZES[name])
    widened = {name: widen(packed, name, found) for name, found in chosen.items()}
    values = {
        "ids": RANDOM.integers(0, 50, (2, 7)),
        "image": RANDOM.standard_normal((2, 36, 5, 5)).astype(np.float32),
        "deep": RANDOM.standard_normal((2, 64, 4, 4)).astype(np.float32),
    }
    data = rewrite(original, chosen, "test")
    check_graph(data, "test")
    found = run(data, packed | values)
    for actual, truth in zip(found, run(original.SerializeToString(), widened | values), strict=True):
        np.testing.assert_allclose(actual, truth, rtol=1e-4, atol=1e-4)
    for actual, truth in zip(found, run(original.SerializeToString(), held | values), strict=True):
        assert psnr(actual, truth) > {"fp16": 70, "int8": 40, "int4": 20}[level]


def widen(packed: dict[str, np.ndarray], name: str, found: Format) -> np.ndarray:
    if found.level == "fp16":
        return packed[name].astype(np.float32)
    if found.level == "int8":
        return unpack_int8(packed, name, found.axis)
    return unpack_int4(packed, name, SIZES[name][0])


@settings(max_examples=30, deadline=None)
@example(98, 15, 5.0, 0)
@given(st.integers(1, 100), st.integers(1, 20), st.floats(1e-2, 1e3), st.integers(0, 99))
def test_packing_loses_at_most_its_step(n_in: int, n_out: int, size: float, seed: int) -> None:
    weight = (np.random.default_rng(seed).standard_normal((n_in, n_out)) * size).astype(np.float32)
    eight = pack_int8("w", weight, 1)
    assert np.all(np.abs(unpack_int8(eight, "w", 1) - weight) <= eight["w.scale"] * 0.5001)
    four = pack_int4("w", weight)
    error = unpack_int4(four, "w", n_in) - weight
    # The largest value of a block may be cut by three tenths for the good of the others.
    assert np.abs(error).max() <= np.abs(weight).max() * 0.31
    for first in range(0, n_in, 32):
        block = weight[first : first + 32]
        plain = np.abs(block).max(0) / 7
        usual = np.linalg.norm(np.rint(block / plain) * plain - block, axis=0)
        # A scale in float16 is off by up to 2 ** -11 of itself, and so is every value of the block.
        room = np.sqrt(len(block)) * np.abs(block).max(0) * 2.0**-11
        assert np.all(np.linalg.norm(error[first : first + 32], axis=0) <= 1.0001 * (usual + room))


def test_a_weight_of_zeros_stays_zero() -> None:
    zeros = np.zeros((40, 3), np.float32)
    assert not unpack_int8(pack_int8("w", zeros, 1), "w", 1).any()
    assert not unpack_int4(pack_int4("w", zeros), "w", 40).any()


def test_a_weight_that_float16_cannot_hold_is_named() -> None:
    with pytest.raises(ValueError, match="w has values beyond 65504"):
        pack_fp16("w", np.full((2, 2), 1e5, np.float32))
    with pytest.raises(ValueError, match="w has values beyond 8 times 65504"):
        pack_int4("w", np.full((2, 2), 1e6, np.float32))


def test_what_gains_most_per_byte_is_raised_first() -> None:
    errors = {"int4": [1e-3, 1e-5, 1e-4], "int8": [1e-6] * 3, "fp16": [0.0] * 3, "fp32": [0.0] * 3}
    sizes = {"int4": 1, "int8": 2, "fp16": 4, "fp32": 8}

    def raised(goal: float, heavy: int = 1) -> tuple[str, ...]:
        return raise_to(
            ("int4",) * 3,
            lambda index, level: errors[level][index],
            lambda index, level: sizes[level] * (heavy if index == 0 else 1),
            goal,
        )

    assert raised(20) == ("int4",) * 3
    assert raised(35) == ("int8", "int4", "int4")
    assert raised(45) == ("int8", "int4", "int8")
    assert raised(35, heavy=1000) == ("int8", "int8", "int8"), "cheap stages first, then what is needed"
    assert set(raised(1000)) == {"fp16"}
    assert decibels(1e-4) == pytest.approx(40)


def test_the_ends_begin_one_level_higher() -> None:
    assert first_choice(4, "int4") == ("int8", "int4", "int4", "int8")
    assert first_choice(4, "fp16") == ("fp16",) * 4
    assert first_choice(1, "int8") == ("int8",)


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("int8", {"denoiser": Wanted("int8", 35), "vae_decoder": Wanted("int8", 35)}),
        ("denoiser=auto", {"denoiser": Wanted("int4", 40), "vae_decoder": Wanted("fp32", 60)}),
        ("fp16, denoiser = int4:30", {"denoiser": Wanted("int4", 30), "vae_encoder": Wanted("fp16", 35)}),
    ],
)
def test_precision_is_read(text: str, of: dict[str, Wanted]) -> None:
    assert {name: parse_precision(text).of(name) for name in of} == of


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("int5", "no precision 'int5'"),
        ("denoisr=int8", "'denoisr=int8' names no component"),
        ("int8,fp16", "names no component"),
        ("denoiser=int8,denoiser=fp16", "named twice"),
        ("int8:20", "from 35 to 200 dB"),
        ("int8:many", "from 35 to 200 dB"),
        ("fp32:70", "takes no target"),
        ("", "no precision ''"),
    ],
)
def test_a_wrong_precision_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence):
        parse_precision(text)


def export(exported, folder, text, **more):
    return export_bundle(
        exported.plan,
        exported.desk.model_path,
        folder,
        cache_dir=exported.cache,
        precision=parse_precision(text),
        **more,
    )


def weight_bytes(bundle) -> int:
    stages = [stage for part in bundle.manifest["components"].values() for stage in part["stages"]]
    return sum(bundle.files[stage["weights"]]["bytes"] for stage in stages)


@pytest.mark.parametrize(("level", "ends", "share"), [("fp16", "fp16", 0.7), ("int8", "fp16", 0.55)])
def test_a_bundle_in_fewer_bits_is_smaller_and_proves_itself(exported, tmp_path, level, ends, share):
    bundle = export(exported, tmp_path / "bundle", level)
    bundle.verify()
    stages = bundle.manifest["components"]["denoiser"]["stages"]
    assert [stage["precision"] for stage in stages] == [ends, level, level, level, ends]
    assert weight_bytes(bundle) < share * weight_bytes(exported.bundle)
    reports = self_test(bundle)
    assert set(reports) == set(exported.bundle.manifest["components"])
    assert all(report.psnr >= 35 and report.min_psnr == 34 for report in reports.values())
    assert bundle.manifest["memory"]["weights"] < share * exported.bundle.manifest["memory"]["weights"]
    truth = run_bundle(exported.bundle, output_dir=tmp_path / "a").frames
    frames = run_bundle(bundle, output_dir=tmp_path / "b").frames
    assert psnr(np.asarray(frames), np.asarray(truth)) > 30


def test_each_component_takes_its_own_precision_and_the_rest_stays(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_model", None)  # fewer bits are made from the finished files
    bundle = export(exported, tmp_path / "bundle", "denoiser=int4,vae_decoder=int8")
    manifest = bundle.manifest
    assert "precision" not in manifest["components"]["text_encoder"]["stages"][0]
    assert manifest["self_test"]["components"]["text_encoder"]["min_psnr"] == 60
    assert manifest["self_test"]["components"]["denoiser"]["min_psnr"] == 24
    stage = manifest["components"]["denoiser"]["stages"][1]
    tensors = open_tensors(bundle.path(stage["weights"]))
    assert tensors["block.attn.qkv.weight"].dtype == np.uint8
    assert tensors["block.scale_shift_table"].dtype == np.float32
    decoder = open_tensors(bundle.path("vae_decoder/decoder.safetensors"))
    kinds = {name: value.dtype for name, value in decoder.items() if value.ndim == 5}
    assert kinds["decoder.conv_in.conv.weight"] == np.float16, "the first and the last layer stay higher"
    assert kinds["decoder.conv_out.conv.weight"] == np.float16
    assert np.int8 in kinds.values()
    again: list[str] = []
    second = export(
        exported,
        tmp_path / "again",
        "denoiser=int4,vae_decoder=int8",
        progress=lambda done, total, words: again.append(words),
    )
    assert second.id == bundle.id
    assert not any("Measuring" in words for words in again), "what was chosen comes from the cache"


def test_the_most_sensitive_stages_stay_higher(exported, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "comfyui_pocketvideo"):
        bundle = export(exported, tmp_path / "bundle", "denoiser=auto:45")
    levels = [stage["precision"] for stage in bundle.manifest["components"]["denoiser"]["stages"]]
    assert "int4" not in levels or len(set(levels)) > 1
    assert levels != ["int8", "int4", "int4", "int4", "int8"], "4 bits alone do not reach 45 dB here"
    assert self_test(bundle)["denoiser"].psnr >= 45
    assert "denoiser: " in caplog.text and " dB" in caplog.text


def test_a_sensitive_stage_is_the_one_whose_error_shows(exported, tmp_path):
    described = exported.bundle.manifest["components"]["denoiser"]
    folder = exported.bundle.path("workflow.json").parent
    variants = Variants(folder, described, "denoiser", folder / "self_test.safetensors", tmp_path)
    errors = variants.sensitivities("int4")
    for index in (0, 2):
        levels = ["fp32"] * 5
        levels[index] = "int4"
        assert variants.measure(levels).psnr == pytest.approx(decibels(errors[index]), abs=0.3)
    assert variants.measure(["fp32"] * 5).psnr > 100


def test_what_cannot_reach_its_target_stops_the_export(exported, tmp_path):
    with pytest.raises(ParityError, match=r"denoiser cannot be .* dB where 199 dB .* worst stage is \w+"):
        export(exported, tmp_path / "bundle", "denoiser=int8:199")
    assert not (tmp_path / "bundle").exists()


def test_a_stage_that_misses_its_own_gate_is_raised(exported, tmp_path, monkeypatch):
    described = exported.bundle.manifest["components"]["denoiser"]
    folder = exported.bundle.path("workflow.json").parent
    variants = Variants(folder, described, "denoiser", folder / "self_test.safetensors", tmp_path)
    reached = variants.measure(first_choice(5, "int4"))
    gate = sorted(reached.stages)[0] + 0.01
    from comfyui_pocketvideo.pocketvideo.export import precision

    monkeypatch.setitem(precision.GATES, "int4", gate)
    found = choose(variants, Wanted("int4", 10), lambda words: None)
    worst = reached.stages.index(min(reached.stages))
    assert found.levels[worst] == "int8"
    assert found.good(10)


def test_the_command_takes_a_precision_and_says_what_became_of_it(exported, tmp_path, capsys):
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(exported.plan.workflow))
    arguments = ["--workflow", workflow, "--model", exported.desk.model_path, "--out", tmp_path / "out"]
    arguments += ["--cache", exported.cache, "--photos", exported.desk.photo.parent, "--precision"]
    assert main([str(value) for value in [*arguments, "denoiser=int8"]]) == 0
    assert "denoiser: 3 x int8, 2 x fp16; a device has to reach 34 dB" in capsys.readouterr().out
    assert main([str(value) for value in [*arguments, "denoiser=int7"]]) == 1
    assert "no precision 'int7'" in capsys.readouterr().err


def test_measuring_can_be_cancelled(exported, tmp_path):
    cancel = threading.Event()

    def progress(done: int, total: int, words: str) -> None:
        if "Measuring" in words:
            cancel.set()

    with pytest.raises(ExportCancelled):
        export(exported, tmp_path / "bundle", "denoiser=auto:44", progress=progress, cancel=cancel)
    assert not list((exported.cache / "components").glob("unfinished-*"))
