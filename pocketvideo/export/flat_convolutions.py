"""3-D convolutions as 2-D ones over time, for runtimes that lack them (browsers on WebGPU, neural engines).

A convolution over k frames is the sum of k convolutions of single frames, each shifted by one. The graph is
rewritten and its inputs stay as they are: every target shares the files of weights.
"""

from collections.abc import Callable

import onnx
from onnx import TensorProto, helper
from onnx.shape_inference import infer_shapes

TO_FRAMES = [0, 2, 1, 3, 4]


def has_deep_convolutions(proto: onnx.ModelProto) -> bool:
    """Whether a graph holds a 3-D convolution."""
    shapes = _shapes(proto)
    return any(_is_deep(node, shapes) for node in proto.graph.node)


def flatten(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every 3-D convolution taken apart; the same inputs, outputs and weights.

    Raises ValueError for one that pads by a rule in place of numbers, or whose kernel has no fixed size.
    """
    shapes = _shapes(proto)
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    build = _Builder(made)
    nodes = list(made.graph.node)
    for node in nodes:
        if _is_deep(node, shapes):
            build.convolution(node, shapes[node.input[1]][2:])
        else:
            build.nodes.append(node)
    for index, node in enumerate(build.nodes):
        node.name = f"{node.op_type}_{index}"
    del made.graph.node[:]
    made.graph.node.extend(build.nodes)
    return made


class _Builder:
    """Appends nodes and constants to a graph under names that it does not have."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.graph = proto.graph
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[int, ...], str] = {}
        self.taken = {name for node in proto.graph.node for name in node.output}
        self.taken |= {value.name for value in [*proto.graph.input, *proto.graph.initializer]}

    def convolution(self, node: onnx.NodeProto, sizes: list[int]) -> None:
        """A Conv node over frames, height and width, as Convs over height and width."""
        settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if settings.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise ValueError(f"the convolution {node.name} pads as it sees fit")
        if not all(sizes):
            raise ValueError(f"the kernel of the convolution {node.name} has no fixed size")
        frames, *kernel = sizes
        step, *steps = settings.get("strides", [1, 1, 1])
        apart, *apart2 = settings.get("dilations", [1, 1, 1])
        pads = settings.get("pads", [0] * 6)
        before, after = pads[0], pads[3]
        flat = {
            "kernel_shape": kernel,
            "strides": steps,
            "dilations": apart2,
            "pads": [pads[1], pads[2], pads[4], pads[5]],
            "group": settings.get("group", 1),
        }
        x, weight, *bias = node.input
        by_frame = self.op("Transpose", x, perm=TO_FRAMES)  # [B, T, C, H, W]
        if before or after:
            by_frame = self.op("Pad", by_frame, self.numbers(before, after), "", self.numbers(1))
        total: str | None = None
        shape = ""
        for tap in range(frames):
            piece = by_frame
            last = (frames - 1 - tap) * apart
            if frames > 1 or step > 1:
                ends = self.numbers(-last) if last else self.numbers(2**62)
                piece = self.op(
                    "Slice", piece, self.numbers(tap * apart), ends, self.numbers(1), self.numbers(step)
                )
            shape = self.op("Shape", piece)
            sides = self.op("Slice", shape, self.numbers(2), self.numbers(5))
            folded = self.op("Reshape", piece, self.op("Concat", self.numbers(-1), sides, axis=0))
            taken = self.op("Gather", weight, self.scalar(tap), axis=2)
            # The bias is added once, with the first frame's product.
            inputs = (folded, taken, *(bias if tap == 0 else ()))
            product = self.op("Conv", *inputs, **flat)
            total = product if total is None else self.op("Add", total, product)
        assert total is not None, "a kernel spans at least one frame"
        batch = self.op("Slice", shape, self.numbers(0), self.numbers(1))
        sides = self.op("Slice", self.op("Shape", total), self.numbers(1), self.numbers(4))
        unfolded = self.op("Reshape", total, self.op("Concat", batch, self.numbers(-1), sides, axis=0))
        self.nodes.append(helper.make_node("Transpose", [unfolded], list(node.output), perm=TO_FRAMES))

    def op(self, kind: str, *inputs: str, **settings: object) -> str:
        """Append a node; its output."""
        name = self.free("flat")
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **settings))
        return name

    def numbers(self, *values: int) -> str:
        """A constant row of integers."""
        return self._constant(
            values, lambda name: helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        )

    def scalar(self, value: int) -> str:
        """A constant integer without axes."""
        return self._constant(
            (value, 0, 0), lambda name: helper.make_tensor(name, TensorProto.INT64, [], [value])
        )

    def _constant(self, key: tuple[int, ...], make: Callable[[str], onnx.TensorProto]) -> str:
        if key not in self.constants:
            name = self.free("number")
            self.constants[key] = name
            self.graph.initializer.append(make(name))
        return self.constants[key]

    def free(self, stem: str) -> str:
        """A name that nothing has."""
        number = len(self.taken)
        while (name := f"{stem}_{number}") in self.taken:
            number += 1
        self.taken.add(name)
        return name


def _shapes(proto: onnx.ModelProto) -> dict[str, list[int]]:
    """Sizes by value, 0 for those that are free."""
    inferred = infer_shapes(proto)
    found = {tensor.name: list(tensor.dims) for tensor in proto.graph.initializer}
    for value in [*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info]:
        found[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return found


def _is_deep(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> bool:
    return node.op_type == "Conv" and len(shapes.get(node.input[1], ())) == 5
