"""What the lint finds in made bad graphs, and that it finds nothing in what we export."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.errors import ExportError
from comfyui_pocketvideo.pocketvideo.export.flat_convolutions import flatten, has_deep_convolutions
from comfyui_pocketvideo.pocketvideo.export.lint import FLAT, check, findings
from onnx import TensorProto, helper, numpy_helper


def graph_of(nodes, inputs, outputs, constants=()):
    """A model of float32 inputs and outputs; a pair says an input's type, too."""

    def info(name, shape):
        kind = TensorProto.INT64 if name.startswith("i") else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes,
        "g",
        [info(*pair) for pair in inputs.items()],
        [info(*pair) for pair in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def rules(model, target=None):
    return [finding.rule for finding in (findings(model, target) if target else findings(model))]


def node(kind, inputs, output, **settings):
    return helper.make_node(kind, inputs.split(), [output], name=f"{kind}_{output}", **settings)


def test_an_operator_that_devices_lack_is_named_once_with_what_to_do():
    nodes = [node("Det", "x", "a"), node("Det", "x", "b"), node("Add", "a b", "y")]
    (finding,) = findings(graph_of(nodes, {"x": [2, 2]}, {"y": []}))
    assert finding.rule == "operator"
    assert "Det_a uses the operator Det" in str(finding) and "docs/bundle.md" in str(finding)


def test_six_axes_are_found_at_the_node_that_makes_them():
    nodes = [node("Reshape", "x s", "a"), node("Reshape", "a t", "y")]
    constants = [("s", np.array([1, 1, 1, 1, 2, 3])), ("t", np.array([6]))]
    (finding,) = findings(graph_of(nodes, {"x": [6]}, {"y": [6]}, constants))
    assert (finding.rule, finding.where) == ("axes", "the node Reshape_a")
    assert "6 axes where phones take 5" in finding.problem


def test_weights_inside_are_found_and_a_vector_of_ones_is_none():
    nodes = [node("Add", "x w", "y")]
    weight = np.arange(2000, dtype=np.float32)
    assert rules(graph_of(nodes, {"x": [2000]}, {"y": [2000]}, [("w", weight)])) == ["weights"]
    assert not rules(graph_of(nodes, {"x": [2000]}, {"y": [2000]}, [("w", np.ones_like(weight))]))


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        # ids + ids as numbers
        ([node("Add", "ids ids", "a"), node("Cast", "a", "y", to=TensorProto.FLOAT)], True),
        # through moves
        (
            [
                node("Mul", "ids ids", "a"),
                node("Identity", "a", "b"),
                node("Cast", "b", "y", to=TensorProto.FLOAT),
            ],
            True,
        ),
        # ids + ids as places in a table
        ([node("Add", "ids ids", "a"), node("Gather", "x a", "y")], False),
        # both
        (
            [
                node("Add", "ids ids", "a"),
                node("Gather", "x a", "b"),
                node("Cast", "a", "c", to=TensorProto.FLOAT),
                node("Add", "b c", "y"),
            ],
            True,
        ),
        # compared, which makes a mask
        (
            [
                node("Add", "ids ids", "a"),
                node("Less", "a ids", "b"),
                node("Cast", "b", "y", to=TensorProto.FLOAT),
            ],
            False,
        ),
        # what follows from a shape alone is known before the run
        (
            [
                node("Shape", "x", "s"),
                node("Mul", "s s", "a"),
                node("Cast", "a", "b", to=TensorProto.FLOAT),
                node("Add", "x b", "y"),
            ],
            False,
        ),
    ],
)
def test_arithmetic_on_64_bit_integers_is_for_indices(nodes, found):
    model = graph_of(nodes, {"x": [1], "ids": [1]}, {"y": [1]})
    assert rules(model) == (["integers"] if found else [])
    if found:
        with pytest.raises(ExportError, match=r"g1 does not suit any device: 1\) the node .* cast to"):
            check(model, "g1")


def test_an_integer_output_of_arithmetic_is_data():
    assert rules(graph_of([node("Add", "ids ids", "i")], {"ids": [3]}, {"i": [3]})) == ["integers"]


def test_3d_convolutions_are_found_where_the_target_has_none():
    nodes = [node("Conv", "x w", "y")]
    model = graph_of(nodes, {"x": [1, 2, 3, 4, 5], "w": [2, 2, 1, 1, 1]}, {"y": [1, 2, 3, 4, 5]})
    assert not rules(model)
    (finding,) = findings(model, FLAT)
    assert finding.rule == "conv3d" and "flat convolutions" in finding.fix
    assert has_deep_convolutions(model)
    assert not rules(flatten(model), FLAT)
    transposed = graph_of(
        [node("ConvTranspose", "x w", "y")],
        {"x": [1, 2, 3, 4, 5], "w": [2, 2, 1, 1, 1]},
        {"y": [1, 2, 3, 4, 5]},
    )
    (finding,) = findings(transposed, FLAT)
    assert "transposed" in finding.problem
    with pytest.raises(ExportError, match="does not suit a device without 3-D convolutions"):
        check(transposed, "g1", FLAT)


def test_an_error_lists_the_first_findings_and_counts_the_rest():
    nodes = [node("Add", "ids ids", f"a{index}") for index in range(8)]
    names = " ".join(f"a{index}" for index in range(8))
    nodes += [node("Concat", names, "b", axis=0), node("Cast", "b", "y", to=TensorProto.FLOAT)]
    with pytest.raises(ExportError, match=r"5\) .*\(and 3 more\)\."):
        check(graph_of(nodes, {"ids": [1]}, {"y": [8]}), "g1")


def test_a_graph_that_is_none_is_refused_in_one_sentence():
    with pytest.raises(ExportError, match="is no valid ONNX"):
        check(graph_of([node("Add", "x nothing", "y")], {"x": [1]}, {"y": [1]}), "g1")


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups", "bias"),
    [
        ((3, 3, 3), 1, (0, 1, 1), 1, 1, True),
        ((3, 3, 3), (2, 2, 2), (1, 1, 1), 1, 1, True),
        ((3, 1, 1), (2, 1, 1), 0, (2, 1, 1), 1, False),
        ((1, 2, 2), (1, 2, 2), 0, 1, 2, True),
        ((2, 3, 3), (3, 1, 2), (2, 0, 1), 1, 4, True),
    ],
)
def test_flat_convolutions_compute_the_same(kernel, stride, padding, dilation, groups, bias):
    torch.manual_seed(0)
    layer = torch.nn.Conv3d(4, 8, kernel, stride, padding, dilation, groups, bias)
    pads = [padding] * 3 if isinstance(padding, int) else list(padding)
    settings = {
        "strides": [stride] * 3 if isinstance(stride, int) else list(stride),
        "dilations": [dilation] * 3 if isinstance(dilation, int) else list(dilation),
        "pads": pads * 2,
        "group": groups,
    }
    inputs = {"x": ["b", 4, "t", "h", "w"], "weight": list(layer.weight.shape)}
    if bias:
        inputs["bias"] = [8]
    names = " ".join(inputs)
    model = graph_of([node("Conv", names, "y", **settings)], inputs, {"y": [None] * 5})
    flat = flatten(model)
    onnx.checker.check_model(flat, full_check=True)
    assert not has_deep_convolutions(flat)
    session = onnxruntime.InferenceSession(flat.SerializeToString())
    for shape in ((1, 4, 7, 6, 5), (2, 4, 9, 4, 8)):
        x = torch.randn(shape)
        feeds = {"x": x.numpy(), "weight": layer.weight.detach().numpy()}
        if bias:
            feeds["bias"] = layer.bias.detach().numpy()
        (found,) = session.run(None, feeds)
        np.testing.assert_allclose(found, layer(x).detach().numpy(), atol=2e-6)


def test_a_convolution_that_pads_by_a_rule_is_refused():
    model = graph_of(
        [node("Conv", "x w", "y", auto_pad="SAME_UPPER")],
        {"x": [1, 2, 3, 4, 5], "w": [2, 2, 3, 3, 3]},
        {"y": [1, 2, 3, 4, 5]},
    )
    with pytest.raises(ValueError, match="Conv_y pads"):
        flatten(model)
