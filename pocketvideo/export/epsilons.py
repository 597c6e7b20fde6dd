"""Small constants that torch's exporter would drop: an epsilon of 1e-8 is what keeps 0 / 0 from being NaN.

The exporter's optimiser takes a scalar that is at most 1e-8 for the zero of `x + 0` and removes the addition
(onnxscript's patterns compare with `math.isclose(abs_tol=1e-8)`). It leaves a constant of one axis alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir
import torch
from onnxscript import opset18
from onnxscript.function_libs.torch_lib.ops.core import aten_add

# What a rounded 1e-8 may be, with room for a more generous optimiser.
TINY = 1e-6


def keep_epsilon(x: Any, other: Any, alpha: float = 1.0) -> Any:
    """`x + alpha * other` in ONNX."""
    if isinstance(other, float) and 0 < abs(other) <= TINY:
        dtype = x.dtype.numpy()
        return opset18.Add(x, opset18.Constant(value=onnx_ir.tensor(np.array([alpha * other], dtype))))
    return aten_add(x, other, alpha=alpha)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.aten.add.Tensor: keep_epsilon}
