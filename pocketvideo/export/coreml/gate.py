"""The gate that every package passes where it can be run: Core ML against torch, on seeded inputs.

Core ML runs on Apple's systems only. Elsewhere an export says that its parity was not checked, unless the
caller brings a predictor (the tests bring an interpreter of the saved bytes).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....mobile_runtime.bundle import psnr
from ..errors import ParityError
from ..parity import inputs_for
from ..stages import Component, Stage
from .convert import UNITS_NOTE, require_coremltools
from .options import CoreMLOptions
from .shapes import dtype_of, named_sizes, output_name

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
# A package and its inputs to its outputs, by the names that the package uses.
Predictor = Callable[[Path, Arrays], Arrays]

MIN_PSNR_FLOAT32 = 60.0
MIN_PSNR = {"none": 35.0, "int8": 35.0, "int4": 30.0, "palette4": 30.0}
_UNITS = {
    "all": "ALL",
    "cpuOnly": "CPU_ONLY",
    "cpuAndGPU": "CPU_AND_GPU",
    "cpuAndNeuralEngine": "CPU_AND_NE",
}


def system_predictor() -> Predictor | None:
    """Core ML's own prediction on macOS, None elsewhere."""
    return _Prediction() if sys.platform == "darwin" else None


def threshold(precision: str, compression: str) -> float:
    """The least PSNR in dB that a stage of this precision and compression may have."""
    if precision == "float32" and compression == "none":
        return MIN_PSNR_FLOAT32
    return MIN_PSNR[compression]


class Gate:
    """Runs a component in torch and in Core ML side by side, stage by stage, at every size to check."""

    def __init__(self, component: Component, options: CoreMLOptions, length: int, predict: Predictor) -> None:
        self.component, self.predict = component, predict
        self.precision = options.precision_of(component.name)
        sizes = [named_sizes(options.sizes, shape, length) for shape in options.sizes.checked()]
        self.inputs = [inputs_for(component, size, 40 + index) for index, size in enumerate(sizes)]
        self.torch_values = [dict(values) for values in self.inputs]
        self.coreml_values = [dict(values) for values in self.inputs]
        self.least = float("inf")

    def stage(self, stage: Stage, module: nn.Module, package: Path, compression: str) -> float:
        """Run one stage both ways from the same inputs.

        `module` is the stage as torch has it. Returns the worst PSNR of an output in dB; raises `ParityError`
        with component, stage and figure when it is below `threshold`.
        """
        least = threshold(self.precision, compression)
        # The chain is as good as its least precise stage.
        self.least = min(self.least, least)
        worst = float("inf")
        for torch_values, coreml_values in zip(self.torch_values, self.coreml_values, strict=True):
            with torch.no_grad():
                made = module(*(torch_values[name] for name in stage.inputs))
            expected = dict(zip(stage.outputs, made if isinstance(made, tuple) else (made,), strict=True))
            for name, value in self._run(stage, package, torch_values).items():
                where = f"stage {stage.weights}, output {name}"
                worst = min(worst, self._judge(value, expected[name], least, where))
            coreml_values.update(self._run(stage, package, coreml_values))
            torch_values.update(expected)
        return worst

    def finish(self) -> float:
        """Compare the chain of packages with the untouched network; raises `ParityError`."""
        worst = float("inf")
        for given, coreml_values in zip(self.inputs, self.coreml_values, strict=True):
            with torch.no_grad():
                truth = self.component.reference(**given)
            name = self.component.outputs[0]
            worst = min(worst, self._judge(coreml_values[name], truth, self.least, f"output {name}"))
        return worst

    def _run(self, stage: Stage, package: Path, values: dict[str, Tensor]) -> dict[str, Tensor]:
        given = {
            name: values[name].numpy().astype(dtype_of(self.component, name, self.precision))
            for name in stage.inputs
        }
        found = self.predict(package, given)
        return {
            name: torch.from_numpy(np.asarray(found[output_name(stage, name)], np.float32))
            for name in stage.outputs
        }

    def _judge(self, actual: Tensor, expected: Tensor, least: float, where: str) -> float:
        same = actual.shape == expected.shape
        figure = psnr(actual.numpy(), expected.numpy()) if same else float("-inf")
        if figure < least:
            raise ParityError(
                f"The Core ML {self.component.name} differs from its torch source at {where}: "
                f"{figure:.1f} dB where {least:.0f} dB are needed; choose more precision or less compression."
            )
        return figure


class _Prediction:
    """Core ML's prediction; the last package stays compiled, for the gate runs each several times."""

    def __init__(self) -> None:
        self._loaded: tuple[Path, Any] | None = None

    def __call__(self, package: Path, arrays: Arrays) -> Arrays:
        if self._loaded is None or self._loaded[0] != package:
            ct = require_coremltools()
            note = ct.utils.load_spec(str(package)).description.metadata.userDefined[UNITS_NOTE]
            units = getattr(ct.ComputeUnit, _UNITS[note])
            self._loaded = package, ct.models.MLModel(str(package), compute_units=units)
        found: Arrays = self._loaded[1].predict(arrays)
        return found
