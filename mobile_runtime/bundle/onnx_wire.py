"""Just enough of protobuf's wire format to look into an ONNX file without the onnx package.

A device checks a stranger's graph before onnxruntime sees it. Field numbers are those of onnx.proto
(ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto). Everything is read in place from one bytes
object, with bounds on lengths and varints; nothing is built from sizes that the file states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .errors import GraphError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MODEL_GRAPH, MODEL_OPSET, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 8, 20, 25
OPSET_DOMAIN, OPSET_VERSION = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_OP_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE = (22, 23)
TENSOR_NAME, TENSOR_EXTERNAL, TENSOR_LOCATION = 8, 13, 14


@dataclass
class GraphSummary:
    """What a policy needs to know of a model; `ops` counts (domain, op type)."""

    opsets: dict[str, int] = field(default_factory=dict)
    ops: dict[tuple[str, str], int] = field(default_factory=dict)
    external: list[str] = field(default_factory=list)
    subgraphs: int = 0
    functions: int = 0
    training: int = 0
    sparse: int = 0
    graphs: int = 0


def fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Each field of a message as (number, wire type, value); a value is an int or a view of the bytes.

    Raises GraphError when the bytes are not protobuf.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise GraphError("a field has the number 0")
        value: int | memoryview
        if wire == VARINT:
            value, position = _varint(data, position)
        elif wire == BYTES:
            length, position = _varint(data, position)
            if length > end - position:
                raise GraphError("a field is longer than the file")
            value = data[position : position + length]
            position += length
        elif wire in (FIXED64, FIXED32):
            width = 8 if wire == FIXED64 else 4
            if width > end - position:
                raise GraphError("the file ends inside a number")
            value = int.from_bytes(data[position : position + width], "little")
            position += width
        else:
            raise GraphError(f"a field has the wire type {wire}")
        yield number, wire, value


def summarise(data: bytes) -> GraphSummary:
    """Walk a ModelProto.

    Raises GraphError when the bytes are not one; the message is a clause, without the file.
    """
    summary = GraphSummary()
    for number, value in _messages(memoryview(data)):
        if number == MODEL_GRAPH:
            summary.graphs += 1
            _graph(value, summary)
        elif number == MODEL_OPSET:
            domain, version = "", 0
            for part, _, content in fields(value):
                if part == OPSET_DOMAIN and isinstance(content, memoryview):
                    domain = _text(content)
                elif part == OPSET_VERSION and isinstance(content, int):
                    version = content
            summary.opsets[domain] = version
        elif number == MODEL_TRAINING:
            summary.training += 1
        elif number == MODEL_FUNCTIONS:
            summary.functions += 1
    return summary


def _graph(data: memoryview, summary: GraphSummary) -> None:
    for number, value in _messages(data):
        if number == GRAPH_NODE:
            _node(value, summary)
        elif number == GRAPH_INITIALIZER:
            _tensor(value, summary)
        elif number == GRAPH_SPARSE:
            summary.sparse += 1


def _node(data: memoryview, summary: GraphSummary) -> None:
    op_type = domain = ""
    for number, value in _messages(data):
        if number == NODE_OP_TYPE:
            op_type = _text(value)
        elif number == NODE_DOMAIN:
            domain = _text(value)
        elif number == NODE_ATTRIBUTE:
            for part, content in _messages(value):
                if part in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                    _tensor(content, summary)
                elif part in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    # Control flow is refused whole, so there is no need to look inside.
                    summary.subgraphs += 1
                elif part in ATTRIBUTE_SPARSE:
                    summary.sparse += 1
    key = (domain, op_type)
    summary.ops[key] = summary.ops.get(key, 0) + 1


def _tensor(data: memoryview, summary: GraphSummary) -> None:
    name, external = "", False
    for number, wire, value in fields(data):
        if number == TENSOR_NAME and isinstance(value, memoryview):
            name = _text(value)
        elif number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and wire == VARINT and value != 0):
            external = True
    if external:
        summary.external.append(name)


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, _, value in fields(data):
        if isinstance(value, memoryview):
            yield number, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 70:
        if position >= len(data):
            raise GraphError("the file ends inside a number")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise GraphError("a number is longer than 10 bytes")


def _text(data: memoryview) -> str:
    return bytes(data[:200]).decode("utf-8", "replace")
