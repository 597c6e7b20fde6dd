"""Exporting stages in tests, with the interpreter as the gate's predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfyui_pocketvideo.pocketvideo.export.coreml import CoreMLOptions, Sizes, parse_rules
from comfyui_pocketvideo.pocketvideo.export.coreml.convert import convert_stage
from comfyui_pocketvideo.pocketvideo.export.coreml.gate import Gate, Predictor, system_predictor
from comfyui_pocketvideo.pocketvideo.export.stages import Component

from unit.export.coreml.mil import predict

SIZE = "2x3x4"
LENGTH = 7


def predictors() -> list[Predictor]:
    """The interpreter, and Core ML itself where there is one."""
    system = system_predictor()
    return [predict] if system is None else [predict, system]


def options(sizes: str = SIZE, *compression: str, **rules: Any) -> CoreMLOptions:
    made = {name: parse_rules(values) for name, values in rules.items()}
    return CoreMLOptions(Sizes.parse(sizes), compression=parse_rules(list(compression)), **made)


def gated(
    component: Component, folder: Path, chosen: CoreMLOptions, *stages: str, length: int = LENGTH
) -> dict[str, float]:
    """Convert these stages, put them through the gate in order, and tell what it found, in dB.

    The first has to be the component's first stage, for the gate hands activations on.
    """
    figures = {}
    for number, predictor in enumerate(predictors()):
        gate = Gate(component, chosen, length, predictor)
        for stage in component.stages:
            if stage.weights not in stages:
                continue
            path = folder / f"{stage.weights}.mlpackage"
            if number == 0:
                convert_stage(
                    component, stage, stage.build(), path, options=chosen, length=length, units="all"
                )
            compression = chosen.compression_of(component.name, stage.weights)
            figure = gate.stage(stage, stage.build(), path, compression)
            figures[stage.weights] = min(figure, figures.get(stage.weights, figure))
    return figures
