"""Reading a package and running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from coremltools.proto import FeatureTypes_pb2, Model_pb2
from torch import Tensor

from .operations import OPERATIONS, tensor
from .storage import TYPES, Blobs, read_value

ARRAY_TYPES = {
    FeatureTypes_pb2.ArrayFeatureType.FLOAT16: np.float16,
    FeatureTypes_pb2.ArrayFeatureType.FLOAT32: np.float32,
    FeatureTypes_pb2.ArrayFeatureType.INT32: np.int32,
}


class MilPackage:
    """A saved .mlpackage. Refuses what Core ML would: wrong names, types and sizes of inputs."""

    def __init__(self, path: Path) -> None:
        data = path / "Data" / "com.apple.CoreML"
        self.spec = Model_pb2.Model()
        self.spec.ParseFromString((data / "model.mlmodel").read_bytes())
        self.blobs = Blobs(data / "weights" / "weight.bin")
        function = self.spec.mlProgram.functions["main"]
        self.opset = function.opset
        self.block = function.block_specializations[self.opset]
        self.operations = [operation.type for operation in self.block.operations]
        self.constants: dict[str, Any] = {}

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.spec.description.metadata.userDefined)

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name."""
        expected = {feature.name: feature.type.multiArrayType for feature in self.spec.description.input}
        if set(arrays) != set(expected):
            raise ValueError(f"The package takes {sorted(expected)}, not {sorted(arrays)}.")
        values: dict[str, Any] = {}
        for name, array in arrays.items():
            check_input(name, array, expected[name])
            values[name] = torch.from_numpy(np.ascontiguousarray(array))
        for operation in self.block.operations:
            self._evaluate(operation, values)
        found = {}
        for feature in self.spec.description.output:
            array = tensor(values[feature.name]).numpy()
            if array.dtype != ARRAY_TYPES[feature.type.multiArrayType.dataType]:
                raise TypeError(f"The output {feature.name} is {array.dtype}.")
            found[feature.name] = array
        return found

    def _evaluate(self, operation: Any, values: dict[str, Any]) -> None:
        names = [output.name for output in operation.outputs]
        if operation.type == "const":
            if names[0] not in self.constants:
                self.constants[names[0]] = read_value(operation.attributes["val"], self.blobs)
            values[names[0]] = self.constants[names[0]]
            return
        if operation.type not in OPERATIONS:
            raise NotImplementedError(f"The interpreter lacks {operation.type}.")
        inputs = {key: self._input(argument, key, values) for key, argument in operation.inputs.items()}
        made = OPERATIONS[operation.type](inputs)
        results = list(made) if isinstance(made, tuple) else [made]
        for name, output, result in zip(names, operation.outputs, results, strict=True):
            values[name] = as_declared(f"{operation.type} {name}", output.type.tensorType, result)

    def _input(self, argument: Any, key: str, values: dict[str, Any]) -> Any:
        found = [
            values[binding.name]
            if binding.WhichOneof("binding") == "name"
            else read_value(binding.value, self.blobs)
            for binding in argument.arguments
        ]
        return found if key == "values" else found[0]


def predict(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One run of a package, as the exporter's gate wants its predictor."""
    return MilPackage(path).run(arrays)


def as_declared(where: str, declared: Any, result: Tensor) -> Tensor:
    """The result rounded to the declared type; its shape and its range have to be the declared ones.

    Integers of 16 bits stay in 32.
    """
    kind = np.dtype(TYPES[declared.dataType])
    dtype = torch.int32 if kind.itemsize == 2 and kind.kind in "iu" else getattr(torch, kind.name)
    if result.dtype.is_floating_point != dtype.is_floating_point:
        raise TypeError(f"{where} gives {result.dtype} where {dtype} is declared.")
    sizes = [
        dimension.constant.size if dimension.WhichOneof("dimension") == "constant" else None
        for dimension in declared.dimensions
    ]
    if len(sizes) != result.ndim or any(
        size is not None and size != found for size, found in zip(sizes, result.shape, strict=True)
    ):
        raise ValueError(f"{where} has the shape {tuple(result.shape)} where {sizes} is declared.")
    if len(sizes) > 5:
        raise ValueError(f"{where} has {len(sizes)} axes; Core ML stops at five.")
    if kind.kind in "iu" and result.numel():
        limits = np.iinfo(kind)
        if not limits.min <= int(result.min()) <= int(result.max()) <= limits.max:
            raise OverflowError(f"{where} holds numbers that {kind.name} cannot.")
    return result.to(dtype)


def check_input(name: str, array: np.ndarray, declared: Any) -> None:
    """As Core ML binds inputs: the type, and a shape that is the one, in the list, or in the range."""
    if array.dtype != ARRAY_TYPES[declared.dataType]:
        raise TypeError(f"The input {name} is {array.dtype}.")
    flexibility = declared.WhichOneof("ShapeFlexibility")
    if flexibility == "enumeratedShapes":
        fits = list(array.shape) in [list(each.shape) for each in declared.enumeratedShapes.shapes]
    elif flexibility == "shapeRange":
        ranges = declared.shapeRange.sizeRanges
        fits = len(ranges) == array.ndim and all(
            each.lowerBound <= size <= each.upperBound for each, size in zip(ranges, array.shape, strict=True)
        )
    else:
        fits = list(array.shape) == list(declared.shape)
    if not fits:
        raise ValueError(f"The input {name} does not take the shape {array.shape}.")
