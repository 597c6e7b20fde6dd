"""The axes of a stage's activations as torch.export and as coremltools want them described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ExportError
from ..stages import Axes, Component, Stage, size_of, split_axis
from .options import SIZED_AXES, Shape, Sizes

NEXT = "_next"


def named_sizes(sizes: Sizes, shape: Shape, length: int) -> dict[str, int]:
    """Every named axis at one shape of the latent; `length` is the number of prompt tokens."""
    return {"batch": sizes.batch, "length": length, **dict(zip(SIZED_AXES, shape, strict=True))}


def output_name(stage: Stage, name: str) -> str:
    """What a package calls an output: Core ML has no dots in names, so one that overwrites gets `_next`."""
    return f"{name}{NEXT}" if name in stage.inputs else name


def dtype_of(component: Component, name: str, precision: str) -> type[np.generic]:
    """int32 for integers; float32 at the component's edges; between its stages float16 where it computes so.

    Times of up to 1000, and a sampler's latents, do not survive float16.
    """
    if not component.axes[name].dtype.is_floating_point:
        return np.int32
    edge = name in component.inputs or name in component.outputs
    return np.float32 if edge or precision == "float32" else np.float16


def example_inputs(stage: Stage, axes: Mapping[str, Axes], sizes: Sizes, length: int) -> tuple[Tensor, ...]:
    """Contiguous inputs of the largest size: torch.export takes a varying axis of size one for a constant."""
    named = named_sizes(sizes, sizes.largest, length)
    return tuple(
        torch.zeros([_size(axis, named, name) for axis in axes[name].names], dtype=axes[name].dtype)
        for name in stage.inputs
    )


def torch_dimensions(stage: Stage, axes: Mapping[str, Axes], sizes: Sizes) -> Any:
    """`dynamic_shapes` for `torch.export` of a `Varargs` stage; None where all sizes are fixed."""
    if not sizes.varying:
        return None
    dims: dict[str, Any] = {}
    described = []
    for name in stage.inputs:
        found: dict[int, Any] = {}
        for index, axis in enumerate(axes[name].names):
            if isinstance(axis, str) and axis_name(axis) in sizes.varying:
                factor, base, divisor = split_axis(axis)
                # Patches are an axis of their own: torch.export knows no division that rounds up.
                base_axis = base if divisor == 1 else f"{base}/{divisor}"
                if base_axis not in dims:
                    low, high = (size_of(base_axis, ends) for ends in _ends(sizes))
                    low = max(low, min(high, _two_patches(base_axis, axes)))
                    dims[base_axis] = torch.export.Dim(base_axis.replace("/", "_over_"), min=low, max=high)
                found[index] = dims[base_axis] if factor == 1 else factor * dims[base_axis]
        described.append(found or None)
    return (tuple(described),)


def coreml_inputs(component: Component, stage: Stage, sizes: Sizes, length: int, precision: str) -> list[Any]:
    """One `coremltools.TensorType` per input of a stage."""
    import coremltools as ct

    ranges: dict[str, Any] = {}
    made = []
    for name in stage.inputs:
        names = component.axes[name].names
        shape: Any
        if not any(axis_name(axis) in sizes.varying for axis in names):
            shape = _at(names, sizes, sizes.shapes[0], length, name)
        elif sizes.kind == "enumerated":
            # Core ML takes the i-th shape of every input together (apple/coremltools#2271).
            listed = [_at(names, sizes, each, length, name) for each in sizes.shapes]
            shape = ct.EnumeratedShapes(shapes=listed, default=listed[0])
        else:
            named = named_sizes(sizes, sizes.smallest, length)
            shape = ct.Shape([_range(axis, sizes, named, ranges, name) for axis in names])
        made.append(ct.TensorType(name=name, shape=shape, dtype=dtype_of(component, name, precision)))
    return made


def axis_name(axis: str | int) -> str:
    """The name in `32*height` or `height/2`; a number has none."""
    return "" if isinstance(axis, int) else split_axis(axis)[1]


def _two_patches(base: str, axes: Mapping[str, Axes]) -> int:
    """The least size of an axis that makes two patches, or 0 where nothing counts patches along it.

    torch.export follows an axis of size one as if it were longer, but refuses a range in which a size that
    it computes can become one. The gate runs the smallest size.
    """
    described = {split_axis(axis) for each in axes.values() for axis in each.names if isinstance(axis, str)}
    return max((divisor + 1 for _, name, divisor in described if name == base and divisor > 1), default=0)


def _at(names: tuple[str | int, ...], sizes: Sizes, shape: Shape, length: int, where: str) -> tuple[int, ...]:
    named = named_sizes(sizes, shape, length)
    return tuple(_size(axis, named, where) for axis in names)


def _range(axis: str | int, sizes: Sizes, named: dict[str, int], ranges: dict[str, Any], where: str) -> Any:
    """A size, or the one `RangeDim` of this axis: sharing it tells coremltools that the sizes are equal."""
    import coremltools as ct

    if isinstance(axis, int) or axis_name(axis) not in sizes.varying:
        return _size(axis, named, where)
    if axis not in ranges:
        low, high = (size_of(axis, ends) for ends in _ends(sizes))
        ranges[axis] = ct.RangeDim(low, high, default=low)
    return ranges[axis]


def _ends(sizes: Sizes) -> tuple[dict[str, int], dict[str, int]]:
    """The smallest and the largest size of every axis that varies."""
    low, high = (dict(zip(SIZED_AXES, shape, strict=True)) for shape in (sizes.smallest, sizes.largest))
    return low, high


def _size(axis: str | int, named: dict[str, int], where: str) -> int:
    try:
        return size_of(axis, named)
    except KeyError:
        raise ExportError(
            f"The activation {where} has an axis {axis} that a Core ML export gives no size; report this."
        ) from None
