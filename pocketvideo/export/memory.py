"""How much memory the activations of a graph take, from shapes alone."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx.shape_inference
import onnxruntime
from onnx import TensorProto, helper

from ...mobile_runtime.bundle import open_tensors
from .errors import ExportError
from .stages import size_of, split_axis

ITEM_BYTES = 4
PACKED = "MatMulNBits"


def component_peak(
    folder: Path,
    described: Mapping[str, Any],
    sizes: dict[str, int],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> int:
    """The largest `peak_activations` of a component's graphs, whose files lie below `folder`.

    `shapes` are those of inputs that do not follow from `sizes`.
    """
    peak = 0
    for stage in {stage["graph"]: stage for stage in described["stages"]}.values():
        graph = _sized((folder / described["graphs"][stage["graph"]]).read_bytes(), shapes or {})
        weights = frozenset(open_tensors(folder / stage["weights"]))
        peak = max(peak, peak_activations(graph, sizes, weights))
    return peak


def peak_activations(graph: bytes, sizes: dict[str, int], weights: frozenset[str]) -> int:
    """Bytes of activations alive at the worst moment of a graph that runs in its own order.

    `sizes` gives the named axes their sizes, `weights` are the inputs not to count. An estimate: it knows
    neither the scratch memory of operators nor the buffers that onnxruntime shares or keeps.
    """
    fixed = _with_shapes(graph, sizes)
    size = {
        value.name: _bytes(value)
        for value in [*fixed.graph.input, *fixed.graph.output, *fixed.graph.value_info]
        if value.name not in weights
    }
    inputs = {value.name for value in fixed.graph.input if value.name not in weights}
    last = {name: index for index, node in enumerate(fixed.graph.node) for name in node.input}
    last |= {value.name: len(fixed.graph.node) for value in fixed.graph.output}
    alive = {name: size[name] for name in inputs}
    peak = sum(alive.values())
    for index, node in enumerate(fixed.graph.node):
        alive.update({name: size[name] for name in node.output if name})
        peak = max(peak, sum(alive.values()) + _unpacked(node))
        for name in [name for name in alive if last.get(name, -1) <= index and name not in inputs]:
            del alive[name]
    return peak


def _sized(graph: bytes, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """The graph with these inputs in these shapes."""
    if not shapes:
        return graph
    proto = onnx.load_from_string(graph)
    for value in proto.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = size
    return bytes(proto.SerializeToString())


def _with_shapes(graph: bytes, sizes: dict[str, int]) -> onnx.ModelProto:
    """The graph with all shapes known: onnxruntime folds the arithmetic on them, inference cannot."""
    proto = onnx.load_from_string(graph)
    for value in proto.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and split_axis(dim.dim_param)[1] in sizes:
                dim.dim_value = size_of(dim.dim_param, sizes)
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fixed.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return _inferred(onnx.load(path))


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with all shapes; onnx itself does not know onnxruntime's layer of 4-bit weights."""
    while True:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        known = {value.name: value for value in [*model.graph.input, *model.graph.value_info]}
        found = [
            helper.make_tensor_value_info(
                node.output[0], TensorProto.FLOAT, [*_dims(known[node.input[0]])[:-1], _sides(node)[1]]
            )
            for node in model.graph.node
            if node.op_type == PACKED and node.output[0] not in known and node.input[0] in known
        ]
        if not found:
            return model
        model.graph.value_info.extend(found)


def _unpacked(node: onnx.NodeProto) -> int:
    """Bytes of the whole weight in float32, which the processor's layer of 4-bit weights makes for itself."""
    return ITEM_BYTES * math.prod(_sides(node)) if node.op_type == PACKED else 0


def _sides(node: onnx.NodeProto) -> tuple[int, int]:
    """Inputs and outputs of a layer of 4-bit weights."""
    found = {attribute.name: attribute.i for attribute in node.attribute}
    return found["K"], found["N"]


def _dims(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _bytes(value: onnx.ValueInfoProto) -> int:
    dims = value.type.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        raise ExportError(
            f"The size of {value.name} in a graph does not follow from its inputs; report this model."
        )
    return ITEM_BYTES * math.prod(dim.dim_value for dim in dims)
