"""The interpreter agrees with coremltools itself, which computes an operation whose inputs are constants.

What coremltools leaves to the phone is compared with the definition in its documentation, in float64.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import Function
from numpy.testing import assert_allclose

from unit.export.coreml.mil.operations import OPERATIONS, tensor

RNG = np.random.default_rng(11)
A = RNG.standard_normal((2, 3, 4)).astype(np.float32)
B = RNG.standard_normal((1, 3, 4)).astype(np.float32)
POSITIVE = np.abs(A) + np.float32(0.1)
WHOLE = np.array([[7, -7, 3], [0, 5, -1]], np.int32)
DIVISOR = np.array([[2, 2, -2], [3, 4, 2]], np.int32)

# Operation, its inputs, and where a case needs one a note that tells it apart.
FOLDED: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, {"x": A, "y": B})
        for name in (
            "add",
            "sub",
            "mul",
            "real_div",
            "maximum",
            "minimum",
            "greater_equal",
            "greater",
            "less",
        )
    ),
    ("add", {"x": WHOLE, "y": DIVISOR}),
    ("equal", {"x": WHOLE, "y": np.abs(WHOLE)}),
    ("floor_div", {"x": WHOLE, "y": DIVISOR}),
    ("real_div", {"x": WHOLE * DIVISOR, "y": DIVISOR}),
    ("pow", {"x": POSITIVE, "y": np.float32(3)}),
    *(
        (name, {"x": A})
        for name in ("abs", "relu", "sigmoid", "cos", "sin", "round", "exp", "square", "tanh", "floor")
    ),
    ("sqrt", {"x": POSITIVE}),
    ("rsqrt", {"x": POSITIVE, "epsilon": np.float32(0.25)}),
    ("inverse", {"x": POSITIVE, "epsilon": np.float32(0.25)}),
    ("clip", {"x": A, "alpha": np.float32(-0.5), "beta": np.float32(0.75)}),
    ("cast", {"x": A * 4, "dtype": "int32"}),
    ("cast", {"x": A, "dtype": "fp16"}),
    ("softmax", {"x": A, "axis": 1}),
    ("select", {"cond": A > 0, "a": A, "b": -A}),
    ("reduce_mean", {"x": A, "axes": [0, -1], "keep_dims": True}),
    ("reduce_sum", {"x": A, "axes": [1], "keep_dims": False}),
    ("reduce_max", {"x": A, "axes": [2], "keep_dims": True}),
    ("linear", {"x": A[0], "weight": B[0], "bias": A[0, :, 0]}),
    ("matmul", {"x": A, "y": B[0], "transpose_x": False, "transpose_y": True}),
    ("matmul", {"x": A, "y": A, "transpose_x": True, "transpose_y": False}),
    ("reshape", {"x": A, "shape": [0, -1]}),
    ("reshape", {"x": A, "shape": [0, 1, -1, 0]}),
    ("pad", {"x": A, "pad": [0, 1, 2, 0], "mode": "constant", "constant_val": np.float32(5)}),
    ("reshape", {"x": A, "shape": [4, 6]}),
    ("transpose", {"x": A, "perm": [2, 0, 1]}),
    ("expand_dims", {"x": A, "axes": [0, -1]}),
    ("squeeze", {"x": A[:, :1, :1], "axes": [1, -1]}),
    ("concat", {"values": [A, B, A], "axis": 0}),
    ("concat", {"values": [np.int32(3), np.int32(5)], "axis": 0}),
    ("stack", {"values": [A, -A], "axis": 1}),
    ("split", {"x": A, "num_splits": 2, "axis": -1}),
    ("split", {"x": A, "split_sizes": [1, 3], "axis": 2}),
    ("tile", {"x": B, "reps": [2, 1, 3]}),
    (
        "slice_by_index",
        {
            "x": A,
            "begin": [1, 0, 1],
            "end": [2, 2, 4],
            "stride": [1, 1, 2],
            "begin_mask": [False, True, False],
            "end_mask": [False, False, True],
            "squeeze_mask": [True, False, False],
        },
    ),
    ("slice_by_index", {"x": A, "begin": [0, -2, 0], "end": [2, -1, 4]}),
    ("identity", {"x": A}),
    ("fill", {"shape": [2, 3], "value": np.float32(1.5)}),
    ("shape", {"x": A}),
    ("range_1d", {"start": np.int32(2), "end": np.int32(11), "step": np.int32(3)}),
    ("gather", {"x": A, "indices": np.array([[2, 0], [-1, 1]], np.int32), "axis": 1}),
]


def folded(name: str, inputs: dict[str, Any]) -> list[np.ndarray]:
    """What coremltools makes of an operation over constants."""
    with Function({"unused": Builder.placeholder(shape=(1,))}, opset_version=ct.target.iOS18):
        made = getattr(Builder, name)(**inputs)
    return [np.asarray(each.val) for each in (made if isinstance(made, (list, tuple)) else (made,))]


@pytest.mark.parametrize(("name", "inputs"), FOLDED, ids=[f"{n}-{i}" for i, (n, _) in enumerate(FOLDED)])
def test_an_operation_gives_what_coremltools_folds_it_to(name: str, inputs: dict[str, Any]) -> None:
    expected = folded(name, inputs)
    assert all(value.dtype != object for value in expected), "coremltools does not fold this one"
    made = OPERATIONS[name](inputs)
    found = [tensor(each).numpy() for each in (made if isinstance(made, tuple) else (made,))]
    assert [value.shape for value in found] == [value.shape for value in expected]
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_what_core_ml_leaves_open_is_refused() -> None:
    with pytest.raises(ArithmeticError):
        OPERATIONS["real_div"]({"x": WHOLE, "y": DIVISOR})
    with pytest.raises(IndexError):
        OPERATIONS["gather"]({"x": A, "indices": np.int32(3), "axis": 1})


def test_fill_like_takes_the_shape_of_its_reference() -> None:
    found = OPERATIONS["fill_like"]({"ref_tensor": A, "value": np.float32(2)})
    assert found.tolist() == np.full(A.shape, 2.0).tolist()


def test_gelu_is_exact_or_by_tanh_as_the_program_says() -> None:
    x = A.astype(np.float64)
    exact = x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    by_tanh = x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert_allclose(OPERATIONS["gelu"]({"x": A, "mode": "EXACT"}), exact, atol=1e-6)
    assert_allclose(OPERATIONS["gelu"]({"x": A, "mode": "TANH_APPROXIMATION"}), by_tanh, atol=1e-6)
    assert_allclose(OPERATIONS["silu"]({"x": A}), x / (1 + np.exp(-x)), atol=1e-6)


def test_layer_norm_normalises_the_last_axes() -> None:
    gamma, beta = B[0], A[1]
    x = A.astype(np.float64)
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 0.5) * gamma + beta
    given = {"x": A, "axes": [-2, -1], "gamma": gamma, "beta": beta, "epsilon": np.float32(0.5)}
    assert_allclose(OPERATIONS["layer_norm"](given), expected, atol=1e-5)
    with pytest.raises(NotImplementedError):
        OPERATIONS["layer_norm"](given | {"axes": [0]})


def test_attention_is_softmax_of_scaled_products_with_the_mask_added() -> None:
    query, key, value = (RNG.standard_normal((1, 2, length, 4)).astype(np.float32) for length in (3, 5, 5))
    mask = RNG.standard_normal((1, 1, 1, 5)).astype(np.float32)
    scores = query.astype(np.float64) @ key.swapaxes(-1, -2) / 2 + mask
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    given = {"query": query, "key": key, "value": value, "attn_mask": mask}
    assert_allclose(OPERATIONS["scaled_dot_product_attention"](given), weights @ value, atol=1e-5)


def test_a_convolution_pads_the_axes_in_their_order() -> None:
    """`pad` is [first axis before, after, second before, after]; torch's function wants it from the end."""
    x = RNG.standard_normal((1, 2, 3, 4, 5)).astype(np.float32)
    weight = RNG.standard_normal((4, 1, 2, 1, 3)).astype(np.float32)
    given = {
        "x": x,
        "weight": weight,
        "pad_type": "custom",
        "pad": [1, 0, 0, 0, 0, 2],
        "strides": [1, 2, 1],
        "dilations": [1, 1, 2],
        "groups": 2,
    }
    found = np.asarray(OPERATIONS["conv"](given))
    padded = np.pad(x[0], ((0, 0), (1, 0), (0, 0), (0, 2))).astype(np.float64)
    expected = np.zeros(found.shape)
    for out, t, h, w in np.ndindex(*expected.shape[1:]):
        for kt, kw in np.ndindex(2, 3):
            expected[0, out, t, h, w] += (
                weight[out, 0, kt, 0, kw] * padded[out // 2, t + kt, 2 * h, w + 2 * kw]
            )
    assert found.shape == (1, 4, 3, 2, 3)
    assert_allclose(found, expected, atol=1e-5)


def test_compressed_weights_unpack_by_block_and_by_table() -> None:
    data = np.array([[1, 2, 3, 4], [5, 6, 7, -8]], np.int8)
    scale = np.array([[2, 3], [4, 5]], np.float16)
    offset = np.array([[1, 0], [0, 2]], np.int8)
    scaled = OPERATIONS["constexpr_blockwise_shift_scale"]({"data": data, "scale": scale, "offset": offset})
    assert scaled.tolist() == [[0, 2, 9, 12], [20, 24, 25, -50]]
    indices = np.array([[0, 1], [1, 0], [1, 1], [0, 0]], np.uint8)
    tables = np.array([[10, 20], [30, 40]], np.float16).reshape(2, 1, 2, 1)
    dense = OPERATIONS["constexpr_lut_to_dense"]({"indices": indices, "lut": tables})
    assert dense.tolist() == [[10, 20], [20, 10], [40, 40], [30, 30]]


def test_every_operation_of_the_interpreter_is_held_by_a_test() -> None:
    named = {name for name, _ in FOLDED}
    others = set(OPERATIONS) - named
    tests = "".join(inspect.getsource(value) for name, value in globals().items() if name.startswith("test_"))
    assert {name for name in others if f'OPERATIONS["{name}"]' not in tests} == set()


def test_sums_over_half_precision_are_wide_and_rounded_once() -> None:
    many = torch.full((4096,), 1.0, dtype=torch.float16)
    assert float(OPERATIONS["reduce_sum"]({"x": many, "axes": [0], "keep_dims": False})) == 4096
