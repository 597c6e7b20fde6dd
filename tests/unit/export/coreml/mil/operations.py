"""The MIL operations that the exporter's packages hold, as functions of their named inputs.

An operation's inputs are torch tensors, or numpy arrays and strings where MIL wants constants. Floats are
widened to float32 for the arithmetic; the caller rounds results to the declared type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Inputs = dict[str, Any]
Operation = Callable[[Inputs], Any]
OPERATIONS: dict[str, Operation] = {}

CASTS = {
    "fp16": torch.float16,
    "fp32": torch.float32,
    "int32": torch.int32,
    # Held in 32 bits, for torch has few operations for these; the caller checks that numbers fit.
    "int16": torch.int32,
    "uint16": torch.int32,
    "bool": torch.bool,
}


def operation(function: Operation) -> Operation:
    OPERATIONS[function.__name__.removesuffix("_")] = function
    return function


def tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(np.array(value))


def wide(value: Any) -> Tensor:
    """float16 as float32: sums are taken wide and rounded once."""
    found = tensor(value)
    if found.dtype == torch.float16:
        return found.float()
    return found.int() if found.dtype in (torch.int16, torch.uint16) else found


def ints(value: Any) -> list[int]:
    return [int(each) for each in np.asarray(value).reshape(-1)]


def number(value: Any) -> float:
    return float(np.asarray(value))


def flag(inputs: Inputs, name: str) -> bool:
    return bool(np.asarray(inputs.get(name, False)))


def _pairs(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    OPERATIONS[name] = lambda i: function(wide(i["x"]), wide(i["y"]))


def _each(name: str, function: Callable[[Tensor], Tensor]) -> None:
    OPERATIONS[name] = lambda i: function(wide(i["x"]))


_pairs("add", torch.add)
_pairs("sub", torch.sub)
_pairs("mul", torch.mul)
_pairs("floor_div", lambda x, y: torch.div(x, y, rounding_mode="floor"))
_pairs("pow", torch.pow)
_pairs("maximum", torch.maximum)
_pairs("greater_equal", torch.ge)
_pairs("equal", torch.eq)
_pairs("minimum", torch.minimum)
_pairs("less", torch.lt)
_pairs("greater", torch.gt)
_each("abs", torch.abs)
_each("relu", torch.relu)
_each("silu", F.silu)
_each("sigmoid", torch.sigmoid)
_each("cos", torch.cos)
_each("sin", torch.sin)
_each("sqrt", torch.sqrt)
_each("square", torch.square)
_each("tanh", torch.tanh)
_each("floor", torch.floor)
_each("round", torch.round)
_each("exp", torch.exp)


@operation
def real_div(i: Inputs) -> Tensor:
    x, y = wide(i["x"]), wide(i["y"])
    if x.dtype.is_floating_point:
        return x / y
    # coremltools divides sizes by sizes, to know how often to repeat; how Core ML would round is not said.
    if (x % y).any():
        raise ArithmeticError("real_div of integers leaves a remainder")
    return x // y


@operation
def cast(i: Inputs) -> Tensor:
    return tensor(i["x"]).to(CASTS[i["dtype"]])


@operation
def clip(i: Inputs) -> Tensor:
    return wide(i["x"]).clamp(number(i["alpha"]), number(i["beta"]))


@operation
def rsqrt(i: Inputs) -> Tensor:
    return torch.rsqrt(wide(i["x"]) + number(i["epsilon"]))


@operation
def inverse(i: Inputs) -> Tensor:
    return 1 / (wide(i["x"]) + number(i["epsilon"]))


@operation
def gelu(i: Inputs) -> Tensor:
    approximate = {"TANH_APPROXIMATION": "tanh", "EXACT": "none"}[i["mode"]]
    return F.gelu(wide(i["x"]), approximate=approximate)


@operation
def softmax(i: Inputs) -> Tensor:
    return wide(i["x"]).softmax(int(number(i["axis"])))


@operation
def select(i: Inputs) -> Tensor:
    return torch.where(tensor(i["cond"]), tensor(i["a"]), tensor(i["b"]))


@operation
def reduce_mean(i: Inputs) -> Tensor:
    return wide(i["x"]).mean(ints(i["axes"]), keepdim=flag(i, "keep_dims"))


@operation
def reduce_sum(i: Inputs) -> Tensor:
    return wide(i["x"]).sum(ints(i["axes"]), keepdim=flag(i, "keep_dims"))


@operation
def reduce_max(i: Inputs) -> Tensor:
    return wide(i["x"]).amax(ints(i["axes"]), keepdim=flag(i, "keep_dims"))


@operation
def layer_norm(i: Inputs) -> Tensor:
    x, axes = wide(i["x"]), sorted(axis % tensor(i["x"]).ndim for axis in ints(i["axes"]))
    if axes != list(range(x.ndim - len(axes), x.ndim)):
        raise NotImplementedError(f"layer_norm over axes {axes} of {x.ndim}")
    gamma, beta = (wide(i[name]) if name in i else None for name in ("gamma", "beta"))
    return F.layer_norm(x, [x.shape[axis] for axis in axes], gamma, beta, number(i["epsilon"]))


@operation
def linear(i: Inputs) -> Tensor:
    return F.linear(wide(i["x"]), wide(i["weight"]), wide(i["bias"]) if "bias" in i else None)


@operation
def matmul(i: Inputs) -> Tensor:
    x, y = wide(i["x"]), wide(i["y"])
    x = x.transpose(-1, -2) if flag(i, "transpose_x") else x
    y = y.transpose(-1, -2) if flag(i, "transpose_y") else y
    return x @ y


@operation
def scaled_dot_product_attention(i: Inputs) -> Tensor:
    mask = wide(i["attn_mask"]) if "attn_mask" in i else None
    query, key, value = (wide(i[name]) for name in ("query", "key", "value"))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


@operation
def conv(i: Inputs) -> Tensor:
    x, weight = wide(i["x"]), wide(i["weight"])
    axes = x.ndim - 2
    strides, dilations = ints(i["strides"]), ints(i["dilations"])
    padding = {"custom": lambda: ints(i["pad"]), "valid": lambda: [0] * 2 * axes}[i["pad_type"]]()
    # MIL pads from the first axis, torch from the last.
    x = F.pad(x, [side for axis in reversed(range(axes)) for side in padding[2 * axis : 2 * axis + 2]])
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    bias = wide(i["bias"]) if "bias" in i else None
    return function(x, weight, bias, stride=strides, dilation=dilations, groups=int(number(i["groups"])))


@operation
def pad(i: Inputs) -> Tensor:
    """The last axes, each before and after, in their order; torch's function wants them from the end."""
    x, sides = wide(i["x"]), ints(i["pad"])
    if i.get("mode", "constant") != "constant":
        raise NotImplementedError(f"pad by {i['mode']}")
    backwards = [side for axis in reversed(range(0, len(sides), 2)) for side in sides[axis : axis + 2]]
    return F.pad(x, backwards, value=number(i.get("constant_val", 0)))


@operation
def reshape(i: Inputs) -> Tensor:
    x, sizes = tensor(i["x"]), ints(i["shape"])
    # From iOS 17 on a zero stands for the axis of `x` that is as far from the last one.
    kept = [1] * len(sizes) + list(x.shape)
    return x.reshape([kept[place - len(sizes)] if size == 0 else size for place, size in enumerate(sizes)])


@operation
def transpose(i: Inputs) -> Tensor:
    return tensor(i["x"]).permute(ints(i["perm"]))


@operation
def expand_dims(i: Inputs) -> Tensor:
    x = tensor(i["x"])
    rank = x.ndim + len(ints(i["axes"]))
    for axis in sorted(each % rank for each in ints(i["axes"])):
        x = x.unsqueeze(axis)
    return x


@operation
def squeeze(i: Inputs) -> Tensor:
    x = tensor(i["x"])
    for axis in sorted((each % x.ndim for each in ints(i["axes"])), reverse=True):
        x = x.squeeze(axis)
    return x


@operation
def concat(i: Inputs) -> Tensor:
    # Scalars make a list.
    return torch.cat([torch.atleast_1d(tensor(value)) for value in i["values"]], int(number(i["axis"])))


@operation
def stack(i: Inputs) -> Tensor:
    return torch.stack([tensor(value) for value in i["values"]], int(number(i["axis"])))


@operation
def split(i: Inputs) -> tuple[Tensor, ...]:
    x, axis = tensor(i["x"]), int(number(i["axis"]))
    if "split_sizes" in i:
        return x.split(ints(i["split_sizes"]), axis)
    return x.tensor_split(int(number(i["num_splits"])), axis)


@operation
def tile(i: Inputs) -> Tensor:
    return tensor(i["x"]).repeat(ints(i["reps"]))


@operation
def slice_by_index(i: Inputs) -> Tensor:
    x = tensor(i["x"])
    begins, ends = ints(i["begin"]), ints(i["end"])

    def mask(name: str) -> list[bool]:
        return [bool(each) for each in np.asarray(i.get(name, [False] * x.ndim)).reshape(-1)]

    strides = ints(i["stride"]) if "stride" in i else [1] * x.ndim
    if any(stride < 1 for stride in strides):
        raise NotImplementedError("slice_by_index backwards")
    from_start, to_end, squeezed = (mask(f"{name}_mask") for name in ("begin", "end", "squeeze"))
    index: list[Any] = []
    for axis in range(x.ndim):
        begin = 0 if from_start[axis] else begins[axis]
        end = x.shape[axis] if to_end[axis] else ends[axis]
        index.append(begin if squeezed[axis] else slice(begin, end, strides[axis]))
    return x[tuple(index)]


@operation
def identity(i: Inputs) -> Tensor:
    return tensor(i["x"])


@operation
def fill(i: Inputs) -> Tensor:
    value = tensor(i["value"])
    return torch.full(ints(i["shape"]), value.item(), dtype=value.dtype)


@operation
def fill_like(i: Inputs) -> Tensor:
    value = tensor(i["value"])
    return torch.full(tensor(i["ref_tensor"]).shape, value.item(), dtype=value.dtype)


@operation
def shape(i: Inputs) -> Tensor:
    return torch.tensor(tensor(i["x"]).shape, dtype=torch.int32)


@operation
def range_1d(i: Inputs) -> Tensor:
    start, end, step = (tensor(i[name]) for name in ("start", "end", "step"))
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


@operation
def gather(i: Inputs) -> Tensor:
    x, indices, axis = wide(i["x"]), tensor(i["indices"]).long(), int(number(i["axis"]))
    if int(number(i.get("batch_dims", 0))):
        raise NotImplementedError("gather with batch_dims")
    axis %= x.ndim
    if indices.numel() and not -x.shape[axis] <= int(indices.min()) <= int(indices.max()) < x.shape[axis]:
        raise IndexError(f"gather reaches beyond {x.shape[axis]}")
    picked = x.index_select(axis, indices.reshape(-1) % x.shape[axis])
    return picked.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@operation
def constexpr_blockwise_shift_scale(i: Inputs) -> Tensor:
    data = tensor(i["data"]).float()
    scale = spread(wide(i["scale"]), data)
    offset = spread(wide(i["offset"]), data) if "offset" in i else torch.zeros(())
    return (data - offset) * scale


@operation
def constexpr_lut_to_dense(i: Inputs) -> Tensor:
    indices, lut = tensor(i["indices"]).long(), wide(i["lut"])
    if lut.shape[-1] != 1 or lut.ndim != indices.ndim + 2:
        raise NotImplementedError("a table of vectors")
    table = lut.squeeze(-1)
    for axis in range(indices.ndim):
        table = table.repeat_interleave(indices.shape[axis] // table.shape[axis], axis)
    return table.gather(-1, indices.unsqueeze(-1)).squeeze(-1)


def spread(parameter: Tensor, data: Tensor) -> Tensor:
    """One number per block, repeated over its block."""
    for axis in range(data.ndim):
        parameter = parameter.repeat_interleave(data.shape[axis] // parameter.shape[axis], axis)
    return parameter
