"""What a phone's runtime cannot run, or runs badly, found in a graph before it is written; in plain words.

Rules: operators of a closed list, at most five axes, no weights inside, no arithmetic on 64-bit integers but
for indices and shapes (browsers and neural engines have none, and send it back to the processor), and for
targets without 3-D convolutions none of these. Every finding says what to do about it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx
import onnx.numpy_helper
import onnx.shape_inference
from onnx import TensorProto

from ...mobile_runtime.bundle import GraphError, check_graph
from ...mobile_runtime.bundle.onnx_policy import ALLOWED
from .errors import ExportError

MAX_AXES = 5
# Room for the frequencies of a position table, which are arithmetic. Weights this small that were baked in by
# mistake would still fail the parity of the next block of their kind.
MAX_CONSTANT_BYTES = 4096
# Findings that an error lists; a broken rule usually breaks at every block.
MOST = 5

_INTEGERS = {TensorProto.INT64, TensorProto.UINT64}
_ARITHMETIC = frozenset(
    """
    Abs Add CumSum Div MatMul Max Min Mod Mul Neg Pow ReduceMax ReduceMin ReduceProd ReduceSum Sign Sub Sum
    """.split()  # noqa: SIM905 - as in onnx_policy.py
)
_COMPARISONS = frozenset(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"))
_MOVES = frozenset(
    """
    Cast Concat Expand Flatten Gather GatherElements GatherND Identity Reshape ScatterElements ScatterND
    Slice Split Squeeze Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905
)
# Which inputs of an operator are indices, axes, counts or shapes, and not data.
_INDICES = {
    "ConstantOfShape": {0},
    "CumSum": {1},
    "Expand": {1},
    "Gather": {1},
    "GatherElements": {1},
    "GatherND": {1},
    "Pad": {1, 3},
    "Range": {0, 1, 2},
    "Reshape": {1},
    "Resize": {3},
    "ScatterElements": {1},
    "ScatterND": {1},
    "Slice": {1, 2, 3, 4},
    "Split": {1},
    "Squeeze": {1},
    "Tile": {1},
    "TopK": {1},
    "Trilu": {1},
    "Unsqueeze": {1},
}


@dataclass(frozen=True)
class Target:
    """What a device's runtime has; `conv3d` says whether it has 3-D convolutions."""

    name: str = "any device"
    conv3d: bool = True


ANY = Target()
FLAT = Target("a device without 3-D convolutions", conv3d=False)


@dataclass(frozen=True)
class Finding:
    """A rule that a graph breaks: at which node or value, what is wrong, and what helps."""

    rule: str
    where: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where} {self.problem}; {self.fix}"


def findings(proto: onnx.ModelProto, target: Target = ANY) -> list[Finding]:
    """Everything that is wrong with a graph, rule by rule."""
    view = _View(proto)
    return [finding for rule in _RULES for finding in rule(view, target)]


def check(proto: onnx.ModelProto, where: str, target: Target = ANY) -> None:
    """Raise `ExportError` with the findings of a graph called `where`, or with a device's own objection."""
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        cause = str(error).strip().splitlines()[0]
        raise ExportError(f"The graph {where} is no valid ONNX ({cause}); report this model.") from None
    found = findings(proto, target)
    if found:
        more = f" (and {len(found) - MOST} more)" if len(found) > MOST else ""
        raise ExportError(
            f"The graph {where} does not suit {target.name}: "
            + "; ".join(f"{number}) {finding}" for number, finding in enumerate(found[:MOST], 1))
            + f"{more}."
        )
    try:
        check_graph(proto.SerializeToString(), where)
    except GraphError as error:
        raise ExportError(f"A device would refuse a graph: {error}") from None


class _View:
    """A graph with the types of its values, and who makes and who uses each of them."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.graph = proto.graph
        inferred = onnx.shape_inference.infer_shapes(proto)
        self.values = {
            value.name: value.type.tensor_type
            for value in [*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info]
        }
        self.constants = {tensor.name: tensor for tensor in proto.graph.initializer}
        self.outputs = {value.name for value in proto.graph.output}
        self.maker = {name: node for node in proto.graph.node for name in node.output if name}
        self.users: dict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
        for node in proto.graph.node:
            for slot, name in enumerate(node.input):
                self.users[name].append((node, slot))

    def type(self, name: str) -> int:
        """The element type of a value, 0 where it is not known."""
        if name in self.constants:
            return int(self.constants[name].data_type)
        return int(self.values[name].elem_type) if name in self.values else 0

    def axes(self, name: str) -> int | None:
        """How many axes a value has, None where that is not known."""
        if name in self.constants:
            return len(self.constants[name].dims)
        found = self.values.get(name)
        return len(found.shape.dim) if found is not None and found.HasField("shape") else None


Rule = Callable[[_View, Target], Iterator[Finding]]


def _operators(view: _View, target: Target) -> Iterator[Finding]:
    seen = set()
    for node in view.graph.node:
        key = (node.domain, node.op_type)
        if node.op_type not in ALLOWED.get(node.domain, ()) and key not in seen:
            seen.add(key)
            yield Finding(
                "operator",
                _name(node),
                f"uses the operator {node.op_type} of {node.domain or 'ai.onnx'}, which devices do not run",
                "write this layer with operators of docs/bundle.md's list",
            )


def _axes(view: _View, target: Target) -> Iterator[Finding]:
    for name in dict.fromkeys([*view.values, *view.constants]):
        axes = view.axes(name)
        if axes is not None and axes > MAX_AXES:
            maker = view.maker.get(name)
            yield Finding(
                "axes",
                f"the value {name}" if maker is None else _name(maker),
                f"has {axes} axes where phones take {MAX_AXES}",
                "reshape in two moves, as rearrange.py does",
            )


def _weights(view: _View, target: Target) -> Iterator[Finding]:
    for name, tensor in view.constants.items():
        value = onnx.numpy_helper.to_array(tensor)
        # A norm without affine needs a vector of ones; that is no weight.
        if value.nbytes > MAX_CONSTANT_BYTES and (value != value.flat[0]).any():
            yield Finding(
                "weights",
                f"the constant {name}",
                f"holds {value.nbytes} bytes inside the graph, which every block of its kind would share",
                "make it a parameter or a buffer, which become inputs",
            )


def _integers(view: _View, target: Target) -> Iterator[Finding]:
    known: dict[str, bool] = {}
    for node in view.graph.node:
        if node.op_type not in _ARITHMETIC or view.type(node.output[0]) not in _INTEGERS:
            continue
        if _from_shapes(view, node.output[0]) or _only_indices(view, node.output[0], known):
            continue
        yield Finding(
            "integers",
            _name(node),
            f"calculates with 64-bit integers ({node.op_type}) for data, which phones leave to the processor",
            "cast to float32 first, or make the result an index",
        )


def _convolutions(view: _View, target: Target) -> Iterator[Finding]:
    if target.conv3d:
        return
    for node in view.graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and view.axes(node.input[0]) == 5:
            yield Finding(
                "conv3d",
                _name(node),
                f"is a 3-D {'convolution' if node.op_type == 'Conv' else 'transposed convolution'}",
                "export with flat convolutions"
                if node.op_type == "Conv"
                else "upsample and convolve in place of it",
            )


_RULES: tuple[Rule, ...] = (_operators, _axes, _weights, _integers, _convolutions)


def _from_shapes(view: _View, name: str) -> bool:
    """Whether a value follows from sizes and constants alone, which a runtime computes before it begins."""
    open_, seen = [name], {name}
    while open_:
        maker = view.maker.get(value := open_.pop())
        if maker is None:
            if value not in view.constants:
                return False
        elif maker.op_type not in ("Shape", "Size"):
            new = {given for given in maker.input if given} - seen
            open_ += new
            seen |= new
    return True


def _only_indices(view: _View, name: str, known: dict[str, bool]) -> bool:
    """Whether a value ends in nothing but indices, shapes and comparisons."""
    if name not in known:
        # A graph has no cycles; the entry stops a second walk along another path.
        known[name] = name not in view.outputs and all(
            _is_index(view, node, slot, known) for node, slot in view.users[name]
        )
    return known[name]


def _is_index(view: _View, node: onnx.NodeProto, slot: int, known: dict[str, bool]) -> bool:
    if slot in _INDICES.get(node.op_type, ()) or node.op_type in _COMPARISONS:
        return True
    if node.op_type not in _ARITHMETIC | _MOVES:
        return False
    return all(
        view.type(made) in _INTEGERS and _only_indices(view, made, known) for made in node.output if made
    )


def _name(node: onnx.NodeProto) -> str:
    return f"the node {node.name or node.op_type}"
