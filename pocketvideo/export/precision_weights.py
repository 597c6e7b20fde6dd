"""Weights in fewer bits and back: fp16, int8 with a scale per channel, 4 bits with a scale per 32 values.

All of them are symmetric: zero stays zero, and a weight is a small integer times a scale. Arrays are numpy;
`pack_*` gives what a weight file holds, under the names that the graph asks for (`precision_graphs.py`).
"""

from collections.abc import Mapping

import numpy as np

Arrays = dict[str, np.ndarray]

SCALE = ".scale"
# onnxruntime's MatMulNBits takes powers of two from 16 on; 32 is what its fastest kernels are written for.
BLOCK = 32
# The integers that the value of largest magnitude in a block is tried as. A negative one uses the whole range
# from -8 to 7 for the sign that reaches further; beyond -8 that value is cut for the good of the others.
_EXTREMES = (7.0, *(-8 / np.linspace(0.7, 1.0, 13)))
# How many values `pack_int4` rounds at a time: its candidates take several times the weight's memory.
_CHUNK = 1 << 20


def pack_fp16(name: str, weight: np.ndarray) -> Arrays:
    """The weight as float16. Raises ValueError for one that float16 cannot hold."""
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(f"{name} has values beyond 65504")
    return {name: half}


def pack_int8(name: str, weight: np.ndarray, axis: int) -> Arrays:
    """Integers from -127 to 127 in the weight's shape, and one float32 scale for each index of `axis`."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    scale = np.abs(weight).max(axis=others, keepdims=True).astype(np.float32) / 127
    scale[scale == 0] = 1
    integers = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    return {name: integers, name + SCALE: scale.reshape(-1)}


def unpack_int8(packed: Mapping[str, np.ndarray], name: str, axis: int) -> np.ndarray:
    """What the integers and scales of `pack_int8` stand for, float32."""
    integers = packed[name]
    shape = [1] * integers.ndim
    shape[axis] = -1
    return integers.astype(np.float32) * packed[name + SCALE].reshape(shape)


def pack_int4(name: str, weight: np.ndarray) -> Arrays:
    """A linear layer's weight `[in, out]` as onnxruntime's MatMulNBits takes it.

    Values are `[out, blocks, 16]` uint8, two to a byte, the first in the low half, 8 standing for zero.
    Scales are `[out * blocks]` float16, one for every 32 inputs of an output; a last block that is not full
    is filled with zeros. Of several ends of the range, the one with the least squared error is taken, block
    by block. Raises ValueError for a weight whose scales float16 cannot hold.
    """
    if np.abs(weight).max() > 8 * float(np.finfo(np.float16).max):
        raise ValueError(f"{name} has values beyond 8 times 65504")
    n_in, n_out = weight.shape
    blocks = -(-n_in // BLOCK)
    rows = np.zeros((n_out, blocks * BLOCK), np.float32)
    rows[:, :n_in] = weight.T
    rows = rows.reshape(-1, BLOCK)
    integers = np.empty(rows.shape, np.uint8)
    scales = np.empty(len(rows), np.float16)
    step = max(1, _CHUNK // BLOCK)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        integers[part], scales[part] = _round_blocks(rows[part])
    packed = integers[:, 0::2] | (integers[:, 1::2] << 4)
    return {name: packed.reshape(n_out, blocks, BLOCK // 2), name + SCALE: scales}


def unpack_int4(packed: Mapping[str, np.ndarray], name: str, n_in: int) -> np.ndarray:
    """What the values and scales of `pack_int4` stand for, `[in, out]` float32."""
    data = packed[name]
    n_out, blocks, _ = data.shape
    integers = np.empty((*data.shape[:2], BLOCK), np.float32)
    integers[..., 0::2] = data & 15
    integers[..., 1::2] = data >> 4
    scales = packed[name + SCALE].astype(np.float32).reshape(n_out, blocks, 1)
    return np.ascontiguousarray(((integers - 8) * scales).reshape(n_out, -1)[:, :n_in].T)


def _round_blocks(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blocks `[n, 32]` to integers 0 to 15 and scales `[n]`, which may be negative."""
    extreme = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1)
    best = np.full((len(rows), 1), np.inf, np.float32)
    integers = np.full(rows.shape, 8, np.uint8)
    scales = np.zeros((len(rows), 1), np.float16)
    for integer in _EXTREMES:
        scale = (extreme / np.float32(integer)).astype(np.float16)
        wide = scale.astype(np.float32)
        tried = np.clip(np.rint(np.divide(rows, wide, out=np.zeros_like(rows), where=wide != 0)), -8, 7)
        error = np.square(tried * wide - rows).sum(1, keepdims=True)
        better = error < best
        best = np.where(better, error, best)
        scales = np.where(better, scale, scales)
        integers = np.where(better, tried + 8, integers).astype(np.uint8)
    return integers, scales[:, 0]
