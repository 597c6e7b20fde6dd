"""Reads safetensors files as numpy views over a memory map, so weights cost page cache and not memory.

Format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
tensors. The header comes from a stranger: its length, its shapes and its offsets are checked before any
byte is viewed.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import strict_json
from .errors import BundleError, WeightsError

MAX_TENSORS = 100_000
MAX_RANK = 8
_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True)
class Layout:
    """Where the tensors of a safetensors file lie: its length; type, shape and offset in bytes by name."""

    path: Path
    size: int
    tensors: Mapping[str, tuple[np.dtype[Any], tuple[int, ...], int]]

    def views(self, data: mmap.mmap | bytearray | np.ndarray) -> dict[str, np.ndarray]:
        """The tensors as views of the file's bytes, which they keep alive."""
        return {
            name: np.frombuffer(data, dtype, math.prod(shape), offset).reshape(shape)
            for name, (dtype, shape, offset) in self.tensors.items()
        }

    def map(self) -> dict[str, np.ndarray]:
        """Map the file anew and return its tensors as read-only views; the last view unmaps it.

        Raises WeightsError when the file is gone, or has another length than when it was read: a page that a
        map promises and the file no longer has would end the process.
        """
        try:
            with self.path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise _gone(self.path, error) from None
        if len(data) != self.size:
            raise _refuse(self.path, f"has {len(data)} bytes now and had {self.size}")
        return self.views(data)


def open_tensors(path: Path) -> Mapping[str, np.ndarray]:
    """Map a safetensors file and return its tensors as read-only views that keep the map alive.

    Raises WeightsError naming the file and what is wrong with it.
    """
    return read_layout(path).map()


def read_layout(path: Path) -> Layout:
    """Read and check the header of a safetensors file. Raises WeightsError as `open_tensors` does."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 8:
                raise _refuse(path, "is shorter than its own header length")
            start, header = _header(path, file, size)
    except OSError as error:
        raise _gone(path, error) from None
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise _refuse(path, f"lists {len(header)} tensors and the limit is {MAX_TENSORS}")
    ends = [0]
    tensors: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
    entries = [(name, *_entry(path, name, entry)) for name, entry in header.items()]
    for name, dtype, shape, begin, end in sorted(entries, key=lambda entry: entry[3:]):
        if begin != ends[-1]:
            raise _refuse(path, f"has a gap or an overlap before the tensor {name[:80]!r}")
        if end > size - start:
            raise _refuse(path, f"ends before the tensor {name[:80]!r} does")
        if (start + begin) % dtype.itemsize:
            raise _refuse(path, f"does not align the tensor {name[:80]!r}")
        tensors[name] = (dtype, tuple(shape), start + begin)
        ends.append(end)
    if ends[-1] != size - start:
        raise _refuse(path, "has bytes that no tensor uses")
    return Layout(path, size, tensors)


def _header(path: Path, file: BinaryIO, size: int) -> tuple[int, dict[str, Any]]:
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, strict_json.MAX_BYTES):
        raise _refuse(path, f"states a header of {length} bytes")
    try:
        header = strict_json.loads(file.read(length).rstrip(b" "), f"The header of {path.name}")
    except BundleError as error:
        raise WeightsError(str(error)) from None
    if not isinstance(header, dict):
        raise _refuse(path, "has a header that is not an object")
    return 8 + length, header


def _entry(path: Path, name: str, entry: Any) -> tuple[np.dtype[Any], list[int], int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _refuse(path, f"describes the tensor {name[:80]!r} wrongly")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise _refuse(path, f"has the tensor {name[:80]!r} in a type that a device does not know")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_naturals(shape) and _naturals(offsets) and len(offsets) == 2 and len(shape) <= MAX_RANK):
        raise _refuse(path, f"has a wrong shape or offset at the tensor {name[:80]!r}")
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise _refuse(path, f"gives the tensor {name[:80]!r} a size that is not its shape's")
    return dtype, shape, begin, end


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _gone(path: Path, error: Exception) -> WeightsError:
    cause = error.strerror if isinstance(error, OSError) else "it is empty"
    return WeightsError(f"{path.name} cannot be opened ({cause}); fetch the bundle again.")


def _refuse(path: Path, reason: str) -> WeightsError:
    return WeightsError(f"{path.name} {reason}; export or fetch the bundle again.")
