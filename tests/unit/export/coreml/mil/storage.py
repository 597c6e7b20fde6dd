"""Values as a package stores them: in the program's protobuf, or in weights/weight.bin."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from coremltools.proto import MIL_pb2

# The blob file's entries begin with this word.
SENTINEL = 0xDEADBEEF
HEADER = struct.Struct("<IIQQQ")  # sentinel, type, bytes, offset of the data, padding in bits

TYPES: dict[int, Any] = {
    MIL_pb2.FLOAT16: np.float16,
    MIL_pb2.FLOAT32: np.float32,
    MIL_pb2.INT32: np.int32,
    MIL_pb2.INT16: np.int16,
    MIL_pb2.UINT16: np.uint16,
    MIL_pb2.INT8: np.int8,
    MIL_pb2.UINT8: np.uint8,
    MIL_pb2.BOOL: np.bool_,
}
PACKED = {MIL_pb2.INT4: (4, True), MIL_pb2.UINT4: (4, False)}


class Blobs:
    """The weight file of one package."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes() if path.is_file() else b""

    def read(self, offset: int, dtype: int, shape: list[int]) -> np.ndarray:
        """The array whose entry is at `offset`."""
        sentinel, _, size, start, _ = HEADER.unpack_from(self.data, offset)
        if sentinel != SENTINEL:
            raise ValueError(f"There is no weight at byte {offset} of the blob file.")
        raw = self.data[start : start + size]
        if dtype in PACKED:
            return unpack(raw, *PACKED[dtype], int(np.prod(shape))).reshape(shape)
        return np.frombuffer(raw, TYPES[dtype]).reshape(shape)


def unpack(raw: bytes, bits: int, signed: bool, count: int) -> np.ndarray:
    """Numbers of a few bits each, lowest bits first."""
    ones = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[: count * bits]
    values = (ones.reshape(count, bits) << np.arange(bits)).sum(axis=1).astype(np.int16)
    if signed:
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return values.astype(np.int8 if signed else np.uint8)


def read_value(value: Any, blobs: Blobs) -> Any:
    """A constant of the program: an array, a string, or a list of constants."""
    kind = value.WhichOneof("value")
    tensor_type = value.type.tensorType
    shape = [dimension.constant.size for dimension in tensor_type.dimensions]
    if kind == "blobFileValue":
        return blobs.read(value.blobFileValue.offset, tensor_type.dataType, shape)
    immediate = value.immediateValue
    if immediate.WhichOneof("value") == "tuple":
        return [read_value(each, blobs) for each in immediate.tuple.values]
    field = immediate.tensor.WhichOneof("value")
    stored = getattr(immediate.tensor, field).values if field else []
    if field == "strings":
        return list(stored) if shape else stored[0]
    dtype = TYPES[tensor_type.dataType]
    array = np.frombuffer(stored, dtype) if field == "bytes" else np.array(list(stored), dtype)
    return array.reshape(shape)
