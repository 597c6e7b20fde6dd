"""How much memory the activations of a graph take, from shapes alone."""

import math

import onnx
import onnx.shape_inference

ITEM_BYTES = 4


def peak_activations(graph: bytes, sizes: dict[str, int], weights: frozenset[str]) -> int:
    """Bytes of activations alive at the worst moment of a graph run in its own order.

    `sizes` gives the named axes their sizes, `weights` are the inputs not to count. An estimate: it knows neither
    scratch memory of operators nor buffers that onnxruntime shares. A value whose shape cannot be inferred counts
    as much as the largest input.
    """
    proto = onnx.load_from_string(graph)
    for value in proto.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            factor, _, name = dim.dim_param.rpartition("*")
            if name in sizes:
                dim.dim_value = sizes[name] * int(factor or 1)
    for value in proto.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    size = {
        value.name: _bytes(value)
        for value in [*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info]
        if value.name not in weights
    }
    inputs = [value.name for value in inferred.graph.input if value.name not in weights]
    unknown = max((size[name] or 0 for name in inputs), default=0)
    last = {name: index for index, node in enumerate(inferred.graph.node) for name in node.input}
    last |= {value.name: len(inferred.graph.node) for value in inferred.graph.output}
    alive = {name: size[name] or 0 for name in inputs}
    peak = sum(alive.values())
    for index, node in enumerate(inferred.graph.node):
        for name in node.output:
            known = size.get(name)
            alive[name] = unknown if known is None else known
        peak = max(peak, sum(alive.values()))
        for name in [name for name in alive if last.get(name, -1) <= index and name not in inputs]:
            del alive[name]
    return peak


def _bytes(value: onnx.ValueInfoProto) -> int | None:
    shape = value.type.tensor_type.shape
    if not value.type.tensor_type.HasField("shape") or any(not dim.HasField("dim_value") for dim in shape.dim):
        return None
    return ITEM_BYTES * math.prod(dim.dim_value for dim in shape.dim)
