"""Exports a component into a folder through the same gate as the product does, without a cache."""

from pathlib import Path

import onnx
import torch
from comfyui_pocketvideo.pocketvideo.export.components import write_stages
from comfyui_pocketvideo.pocketvideo.export.graphs import export_stage
from comfyui_pocketvideo.pocketvideo.export.stages import Component, Stage
from torch import Tensor, nn


def export(component: Component, folder: Path, length: int = 7) -> dict[str, float]:
    """Parity in dB by stage, and of the whole; graphs lie in `folder/<component>`, ParityError stops."""
    graphs: dict[str, Path] = {}

    def graph_of(stage: Stage) -> Path:
        if stage.graph not in graphs:
            graphs[stage.graph] = folder / f"{stage.graph}.onnx"
            graphs[stage.graph].write_bytes(export_stage(stage, component.axes, stage.graph))
        return graphs[stage.graph]

    parity: dict[str, float] = write_stages(folder, component, length, graph_of, lambda words: None)["parity"]
    return parity


def operators(folder: Path, graph: str) -> set[str]:
    """The operators of an exported graph."""
    return {node.op_type for node in onnx.load(folder / f"{graph}.onnx").graph.node}


def chain(component: Component, **values: Tensor) -> Tensor:
    """The component's stages in torch, one after the other, in export form."""
    for stage in component.stages:
        made = stage.build()(*(values[name] for name in stage.inputs))
        values.update(zip(stage.outputs, made if isinstance(made, tuple) else (made,), strict=True))
    return values[component.outputs[0]]


def randomise(network: nn.Module, scale: float = 0.2, seed: int = 5) -> nn.Module:
    """Seeded weights of one size everywhere, so that no part of a network is near zero; norms near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = scale * torch.randn(parameter.shape, generator=generator)
        norm = (parameter.ndim == 1 and name.endswith("weight")) or name.endswith("gamma")
        parameter.data = 1 + noise if norm else noise
    return network.eval().requires_grad_(False)
