"""ONNX and safetensors files from strangers: read with our own readers, refused before anything is built."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
from comfyui_pocketvideo.mobile_runtime.bundle import (
    GraphError,
    WeightsError,
    check_graph,
    open_tensors,
    psnr,
)
from comfyui_pocketvideo.mobile_runtime.bundle.onnx_wire import summarise
from onnx import TensorProto, helper, numpy_helper

from unit.engine import small

NODE = helper.make_node


def model(
    nodes: list[Any], opset: int = 18, domain: str = "", initializers: list[Any] | None = None
) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [2])],
        [value("y", TensorProto.FLOAT, [2])],
        initializers or [],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, opset)], ir_version=9)


def external_tensor() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def external_without_location_flag() -> onnx.TensorProto:
    tensor = external_tensor()
    tensor.ClearField("data_location")
    return tensor


RELU = NODE("Relu", ["x"], ["y"])


def with_function() -> onnx.ModelProto:
    made = model([RELU])
    made.functions.append(helper.make_function("d", "F", ["x"], ["y"], [RELU], [helper.make_opsetid("", 18)]))
    return made


def with_control_flow() -> onnx.ModelProto:
    branch = helper.make_graph(
        [NODE("Identity", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", 1, [2])]
    )
    return model([NODE("If", ["c"], ["y"], then_branch=branch, else_branch=branch)])


def with_hidden_subgraph() -> onnx.ModelProto:
    """An allowed operator that carries a graph as an attribute."""
    made = with_control_flow()
    made.graph.node[0].op_type = "Relu"
    return made


@pytest.mark.parametrize(
    ("sentence", "proto"),
    [
        ("keeps the tensor 'w' in another file", model([RELU], initializers=[external_tensor()])),
        (
            "keeps the tensor 'w' in another file",
            model([RELU], initializers=[external_without_location_flag()]),
        ),
        (
            "keeps the tensor 'w' in another file",
            model([NODE("Constant", [], ["y"], value=external_tensor())]),
        ),
        ("operator 'Loop'", model([NODE("Loop", ["x"], ["y"])])),
        ("operator 'Evil' of 'com.evil'", model([NODE("Evil", ["x"], ["y"], domain="com.evil")])),
        ("operator 'Attention'", model([NODE("Attention", ["x"], ["y"], domain="com.microsoft")])),
        ("functions", with_function()),
        ("control flow", with_control_flow()),
        ("control flow", with_hidden_subgraph()),
        ("opset 23", model([RELU], opset=23)),
        ("opset 7", model([RELU], opset=7)),
        ("imports no standard", model([RELU], domain="com.evil")),
        ("0 nodes", model([])),
        ("50001 nodes", model([RELU] * 50_001)),
    ],
)
def test_t10_graphs_that_reach_out_are_refused(sentence: str, proto: onnx.ModelProto) -> None:
    with pytest.raises(GraphError, match=sentence) as caught:
        check_graph(proto.SerializeToString(), "graphs/x.onnx")
    assert str(caught.value).startswith("graphs/x.onnx ")


def test_t10_sparse_tensors_are_refused() -> None:
    made = model([RELU])
    made.graph.sparse_initializer.add()
    with pytest.raises(GraphError, match="sparse"):
        check_graph(made.SerializeToString(), "x.onnx")


def test_the_reader_sees_what_onnx_sees() -> None:
    for name, data in small.graphs().items():
        proto = onnx.load_from_string(data)
        summary = check_graph(data, name)
        assert sum(summary.ops.values()) == len(proto.graph.node)
        assert {op for _, op in summary.ops} == {node.op_type for node in proto.graph.node}
        assert summary.opsets == {item.domain: item.version for item in proto.opset_import}


def test_broken_protobuf_is_refused_and_never_crashes() -> None:
    draw = random.Random(0)
    data = small.graphs()["prologue"]
    cases = [
        b"",
        b"\x00",
        b"\x08",
        b"\xff" * 20,
        b"\x3a\xff\xff\xff\xff\x0f",
        b"\x0b",
        data[:-1],
        b"MZ" + data,
    ]
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(draw.randrange(1, 5)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        cases.append(bytes(broken))
    refused = 0
    for case in cases:
        try:
            check_graph(case, "x.onnx")
        except GraphError:
            refused += 1
    assert refused > len(cases) // 3
    with pytest.raises(GraphError):
        summarise(b"\xff" * 20)


def write(path: Path, header: Any, body: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def test_tensors_equal_those_of_the_safetensors_library(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = {
        "f32": draw.standard_normal((3, 5)).astype(np.float32),
        "f16": draw.standard_normal(7).astype(np.float16),
        "f64": draw.standard_normal((1, 1, 2)),
        "i64": draw.integers(-(2**62), 2**62, (4,)),
        "u8": draw.integers(0, 255, (3,)).astype(np.uint8),
        "flag": np.array([True, False]),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
    }
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors", metadata={"a": "b"})
    found = open_tensors(tmp_path / "a.safetensors")
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        assert np.array_equal(found[name], value) and not found[name].flags.writeable


def tensor(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("sentence", "header", "body"),
    [
        ("header that is not an object", [], b""),
        ("not valid JSON", b"{", b""),
        ("given twice", b'{"a":1,"a":1}', b""),
        ("describes the tensor 'w' wrongly", {"w": 1}, b""),
        ("describes the tensor 'w' wrongly", {"w": {**tensor(), "extra": 1}}, b"\0" * 8),
        ("type that a device does not know", {"w": tensor(dtype="BF16")}, b"\0" * 8),
        ("type that a device does not know", {"w": tensor(dtype=["F32"])}, b"\0" * 8),
        ("wrong shape or offset", {"w": tensor(shape=[-2])}, b"\0" * 8),
        ("wrong shape or offset", {"w": tensor(shape=[2.0])}, b"\0" * 8),
        ("wrong shape or offset", {"w": tensor(shape=[True, 2])}, b"\0" * 8),
        ("wrong shape or offset", {"w": tensor(shape=[1] * 9)}, b"\0" * 8),
        ("wrong shape or offset", {"w": tensor(offsets=[0, 4, 8])}, b"\0" * 8),
        ("size that is not its shape", {"w": tensor(shape=[3])}, b"\0" * 8),
        ("size that is not its shape", {"w": tensor(shape=[2**62, 2**62])}, b"\0" * 8),
        ("size that is not its shape", {"w": tensor(offsets=[8, 0])}, b"\0" * 8),
        ("ends before the tensor", {"w": tensor()}, b"\0" * 7),
        ("gap or an overlap", {"w": tensor(offsets=[4, 12])}, b"\0" * 12),
        ("gap or an overlap", {"v": tensor(), "w": tensor()}, b"\0" * 8),
        ("bytes that no tensor uses", {"w": tensor()}, b"\0" * 9),
    ],
)
def test_hostile_safetensors_are_refused_in_a_sentence(
    tmp_path: Path, sentence: str, header: Any, body: bytes
) -> None:
    with pytest.raises(WeightsError, match=sentence) as caught:
        open_tensors(write(tmp_path / "w.safetensors", header, body))
    assert "w.safetensors" in str(caught.value)


@pytest.mark.parametrize("length", [2**63, 2**40, 100])
def test_a_header_longer_than_its_file_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(WeightsError, match="states a header"):
        open_tensors(write(tmp_path / "w.safetensors", b"{}", b"", length))


def test_too_short_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\0" * 7)
    with pytest.raises(WeightsError, match="shorter"):
        open_tensors(tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="cannot be opened"):
        open_tensors(tmp_path / "none.safetensors")


def test_psnr() -> None:
    ramp = np.linspace(0, 2, 101)
    assert psnr(ramp, ramp) == float("inf")
    assert psnr(ramp + 0.02, ramp) == pytest.approx(40)
    assert psnr(np.full(101, np.nan), ramp) == float("-inf")
    assert psnr(np.ones(3), np.zeros(3)) == pytest.approx(0)
