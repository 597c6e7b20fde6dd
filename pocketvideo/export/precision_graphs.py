"""A stage's graph for weights in fewer bits: the same inputs and outputs, other types of its weights.

A weight is widened where it is used, so activations stay float32 and any device runs the graph:

* float16: one Cast.
* int8 of a linear layer: DequantizeLinear by 1, and the channels' scales multiply the product: onnxruntime's
  processor kernel for a scale per channel takes one value at a time and cost as much as the product itself. A
  convolution's weight is scaled itself, because its bias is added inside; of a table, the rows looked up.
* 4 bits of a linear layer: onnxruntime's MatMulNBits, the one operator for it that both its CPU and its
  browser builds have. Other weights of such a stage take int8.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from ...mobile_runtime.bundle import GraphError, check_graph
from .errors import ExportError
from .precision_weights import BLOCK, SCALE, Arrays, pack_fp16, pack_int4, pack_int8

MICROSOFT = "com.microsoft"
# Below it a weight is not worth the nodes: biases, norms, tables of modulation stay float32.
LEAST = 512
# The same for weights that are used in another way than by a layer: they are widened whole, every time.
LEAST_OTHER = 65536
# A channel of fewer values, such as a depthwise kernel's 9, would spend as much on its scale as it saves.
LEAST_PER_SCALE = 32

_WIDE = ".wide"
_ONE = "pocketvideo_one"
_LAST = "pocketvideo_last"


@dataclass(frozen=True)
class Format:
    """How a weight is stored (`fp16`, `int8`, `int4`), and as what its graph uses it.

    `role` is `linear`, `convolution`, `table` or `other`.
    """

    level: str
    role: str

    def pack(self, name: str, weight: np.ndarray) -> Arrays:
        """What the file of weights holds instead of a weight of this name. Raises ValueError."""
        if self.level == "fp16":
            return pack_fp16(name, weight)
        if self.level == "int4":
            return pack_int4(name, weight)
        return pack_int8(name, weight, self.axis)

    def bytes(self, shape: tuple[int, ...]) -> int:
        """How much the file holds instead of a weight of this shape."""
        size = math.prod(shape)
        if self.level == "fp16":
            return 2 * size
        if self.level == "int4":
            return shape[1] * -(-shape[0] // BLOCK) * (BLOCK // 2 + 2)
        return size + 4 * shape[self.axis]

    @property
    def axis(self) -> int:
        """The axis of a weight's output channels, or of a table's rows."""
        return 1 if self.role == "linear" else 0


def weights_in_order(graph: onnx.ModelProto, names: frozenset[str]) -> list[str]:
    """Those of `names` that can take fewer bits, in the order in which the graph first uses them."""
    shapes = _shapes(graph)
    found = dict.fromkeys(
        name
        for node in graph.graph.node
        for name in node.input
        if name in names and _format(name, "fp16", graph, shapes) is not None
    )
    return list(found)


def formats(
    graph: onnx.ModelProto, names: frozenset[str], level: str, other: Mapping[str, str] | None = None
) -> dict[str, Format]:
    """The format of every weight of a stage at a level; weights that stay float32 are not listed.

    `names` are the graph's inputs that are weights; `other` gives some of them a level of their own.
    """
    shapes = _shapes(graph)
    made = {
        name: _format(name, (other or {}).get(name, level), graph, shapes)
        for name in weights_in_order(graph, names)
    }
    return {name: found for name, found in made.items() if found is not None}


def pack(weights: Mapping[str, np.ndarray], chosen: Mapping[str, Format]) -> Arrays:
    """A stage's weights as its rewritten graph takes them. Raises ValueError naming one that cannot be."""
    packed: Arrays = {}
    for name, weight in weights.items():
        packed |= chosen[name].pack(name, weight) if name in chosen else {name: np.ascontiguousarray(weight)}
    return packed


def rewrite(graph: onnx.ModelProto, chosen: Mapping[str, Format], where: str) -> bytes:
    """The serialised graph for weights in these formats; `where` names it in errors.

    Raises `ExportError` when the result is one that a device refuses.
    """
    shapes = _shapes(graph)
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    del made.graph.node[:]
    # Widening comes first: onnxruntime walks back from the end and takes the latest input first, so that each
    # weight is widened right before its layer. At their layers, all would be widened at the start and kept.
    for name, found in chosen.items():
        made.graph.node.extend(_widening(name, found))
    for node in graph.graph.node:
        made.graph.node.extend(_used(node, chosen, shapes))
    inputs = [value for given in graph.graph.input for value in _inputs(given, chosen, shapes)]
    del made.graph.input[:]
    made.graph.input.extend(inputs)
    _constants(made)
    for index, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}_{index}"
    if any(node.domain == MICROSOFT for node in made.graph.node):
        made.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    data = bytes(made.SerializeToString(deterministic=True))
    try:
        onnx.checker.check_model(made)
        check_graph(data, where)
    except (onnx.checker.ValidationError, GraphError) as error:
        raise ExportError(f"A device would refuse a graph of fewer bits: {error}") from None
    return data


def _format(name: str, level: str, graph: onnx.ModelProto, shapes: dict[str, list[int]]) -> Format | None:
    shape = shapes.get(name, [])
    size = math.prod(shape)
    role = _role(name, graph, shape)
    if level == "fp32" or len(shape) < 2 or size < (LEAST_OTHER if role == "other" else LEAST):
        return None
    if level == "fp16" or role == "other":
        return Format("fp16", role)
    if role == "linear":
        return Format(level, role)
    return Format("int8" if size // shape[0] >= LEAST_PER_SCALE else "fp16", role)


def _role(name: str, graph: onnx.ModelProto, shape: list[int]) -> str:
    uses = {
        (node.op_type, index)
        for node in graph.graph.node
        for index, given in enumerate(node.input)
        if given == name
    }
    if uses == {("MatMul", 1)} and len(shape) == 2:
        return "linear"
    if uses == {("Conv", 1)}:
        return "convolution"
    gathers = [node for node in graph.graph.node if node.op_type == "Gather" and node.input[0] == name]
    if (
        uses == {("Gather", 0)}
        and len(shape) == 2
        and all(a.i == 0 for node in gathers for a in node.attribute)
    ):
        return "table"
    return "other"


def _widening(name: str, found: Format) -> Iterator[onnx.NodeProto]:
    if found.role == "table":
        return
    if found.level == "fp16":
        yield helper.make_node("Cast", [name], [name + _WIDE], to=TensorProto.FLOAT)
    elif found.level == "int4":
        yield helper.make_node("Cast", [name + SCALE], [name + SCALE + _WIDE], to=TensorProto.FLOAT)
    elif found.role == "linear":
        yield helper.make_node("DequantizeLinear", [name, _ONE], [name + _WIDE])
    else:
        yield helper.make_node("DequantizeLinear", [name, name + SCALE], [name + _WIDE], axis=0)


def _used(
    node: onnx.NodeProto, chosen: Mapping[str, Format], shapes: dict[str, list[int]]
) -> Iterator[onnx.NodeProto]:
    """The node with its weights widened, and what has to be done to its output."""
    first = next((name for name in node.input if name in chosen), "")
    found = chosen.get(first)
    if found is None:
        yield node
        return
    (out,) = node.output
    if found.role == "table":
        yield from _looked_up(node, first, found, out)
        return
    if found.level == "int4":
        n_in, n_out = shapes[first]
        yield helper.make_node(
            "MatMulNBits",
            [node.input[0], first, first + SCALE + _WIDE],
            [out],
            domain=MICROSOFT,
            K=n_in,
            N=n_out,
            bits=4,
            block_size=BLOCK,
        )
        return
    made = onnx.NodeProto()
    made.CopyFrom(node)
    made.input[:] = [name + _WIDE if name in chosen else name for name in node.input]
    if found.level == "int8" and found.role == "linear":
        made.output[:] = [out + ".integers"]
        yield made
        yield helper.make_node("Mul", [out + ".integers", first + SCALE], [out])
        return
    yield made


def _looked_up(node: onnx.NodeProto, name: str, found: Format, out: str) -> Iterator[onnx.NodeProto]:
    rows = out + ".rows"
    yield helper.make_node("Gather", list(node.input), [rows], axis=0)
    if found.level == "fp16":
        yield helper.make_node("Cast", [rows], [out], to=TensorProto.FLOAT)
        return
    scales = out + ".scales"
    yield helper.make_node("DequantizeLinear", [rows, _ONE], [rows + _WIDE])
    yield helper.make_node("Gather", [name + SCALE, node.input[1]], [scales], axis=0)
    yield helper.make_node("Unsqueeze", [scales, _LAST], [scales + _WIDE])
    yield helper.make_node("Mul", [rows + _WIDE, scales + _WIDE], [out])


def _inputs(
    given: onnx.ValueInfoProto, chosen: Mapping[str, Format], shapes: dict[str, list[int]]
) -> Iterator[onnx.ValueInfoProto]:
    name = given.name
    found = chosen.get(name)
    if found is None:
        yield given
        return
    shape = shapes[name]
    if found.level == "fp16":
        yield helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape)
    elif found.level == "int4":
        n_in, n_out = shape
        blocks = -(-n_in // BLOCK)
        yield helper.make_tensor_value_info(name, TensorProto.UINT8, [n_out, blocks, BLOCK // 2])
        yield helper.make_tensor_value_info(name + SCALE, TensorProto.FLOAT16, [n_out * blocks])
    else:
        yield helper.make_tensor_value_info(name, TensorProto.INT8, shape)
        yield helper.make_tensor_value_info(name + SCALE, TensorProto.FLOAT, [shape[found.axis]])


def _constants(graph: onnx.ModelProto) -> None:
    used = {name for node in graph.graph.node for name in node.input}
    if _ONE in used:
        graph.graph.initializer.append(helper.make_tensor(_ONE, TensorProto.FLOAT, [], [1.0]))
    if _LAST in used:
        graph.graph.initializer.append(helper.make_tensor(_LAST, TensorProto.INT64, [1], [-1]))


def _shapes(graph: onnx.ModelProto) -> dict[str, list[int]]:
    """Sizes of the inputs whose sizes are all fixed, as those of weights are."""
    made = {}
    for value in graph.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.elem_type == TensorProto.FLOAT and all(
            dim.HasField("dim_value") for dim in dims
        ):
            made[value.name] = [dim.dim_value for dim in dims]
    return made
