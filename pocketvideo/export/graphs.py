"""One stage to one ONNX graph whose weights are graph inputs.

The module is called through `torch.func.functional_call` with every parameter and buffer as an argument. So
weights keep their names, equal weights are not merged (the exporter merges equal initializers), and one graph
serves every block of its kind.
"""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from .epsilons import TRANSLATIONS
from .errors import ExportError
from .lint import check
from .stages import Axes, Stage, size_of, split_axis

OPSET = 18
NEXT = ".next"
_IN, _OUT = "pocketvideo_in_", "pocketvideo_out_"
EXAMPLE = {"batch": 2, "frames": 3, "height": 4, "width": 5, "length": 7}
EXAMPLE |= {"merged_frames": 6, "alone": 11, "pairs": 13, "rest": 8}


def stage_weights(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer of a stage in export form, under its name in the module."""
    weights: dict[str, Tensor] = {}
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        weights[name] = value.detach()
    return weights


def weights_used(graph: bytes, activations: tuple[str, ...]) -> list[str]:
    """The graph's inputs that are not activations: what a file of weights has to hold for it."""
    proto = onnx.load_from_string(graph)
    return [value.name for value in proto.graph.input if value.name not in activations]


def output_name(stage: Stage, name: str) -> str:
    """What a graph calls an output: one that overwrites an input gets `.next`, as names are unique."""
    return f"{name}{NEXT}" if name in stage.inputs else name


def export_stage(stage: Stage, axes: Mapping[str, Axes], where: str) -> bytes:
    """The serialised graph of a stage; `where` names it in errors.

    Raises `ExportError` when the exporter fails, when a weight would be baked in, or when the result is not
    portable.
    """
    module = stage.build()
    weights = stage_weights(module)
    clash = set(weights) & set(stage.inputs)
    if clash:
        raise ExportError(
            f"In {where} a weight and an activation share the name {sorted(clash)[0]}; rename one."
        )
    examples = [_example(axes[name]) for name in stage.inputs]
    dims: dict[str, Any] = {}
    shapes = [_dynamic(axes[name], dims) for name in stage.inputs]
    try:
        with warnings.catch_warnings(), _quiet(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _WeightsAsInputs(module, list(weights)),
                (examples, list(weights.values())),
                dynamo=True,
                opset_version=OPSET,
                custom_translation_table=TRANSLATIONS,
                input_names=[f"{_IN}{i}" for i in range(len(stage.inputs) + len(weights))],
                output_names=[f"{_OUT}{i}" for i in range(len(stage.outputs))],
                dynamic_shapes=(shapes, [None] * len(weights)),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever its passes raise
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(
            f"The graph {where} cannot be exported to ONNX ({cause}); report this model."
        ) from error
    if program is None:
        raise ExportError(f"The graph {where} was not exported by this version of torch; update torch.")
    proto = program.model_proto
    _rename(proto, [*stage.inputs, *weights], [output_name(stage, name) for name in stage.outputs])
    _strip(proto, stage, axes)
    check(proto, where)
    return bytes(proto.SerializeToString(deterministic=True))


class _WeightsAsInputs(nn.Module):
    def __init__(self, module: nn.Module, names: list[str]) -> None:
        super().__init__()
        # In a list, so that its parameters are not parameters of the exported module.
        self.held = [module]
        self.names = names

    def forward(self, activations: list[Tensor], weights: list[Tensor]) -> Any:
        return torch.func.functional_call(
            self.held[0], dict(zip(self.names, weights, strict=True)), tuple(activations)
        )


class _quiet:  # noqa: N801 - reads as a statement
    """Silences the exporter's loggers for a while; its findings come back as errors or not at all."""

    NAMES = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")

    def __enter__(self) -> None:
        self.levels = {name: logging.getLogger(name).level for name in self.NAMES}
        for name in self.NAMES:
            logging.getLogger(name).setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)


def _example(axes: Axes) -> Tensor:
    sizes = [size_of(axis, EXAMPLE) for axis in axes.names]
    if axes.dtype == torch.int64:
        return torch.ones(sizes, dtype=torch.int64)
    return torch.linspace(0.1, 0.9, int(torch.Size(sizes).numel())).reshape(sizes)


def _dynamic(axes: Axes, dims: dict[str, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for index, axis in enumerate(axes.names):
        if isinstance(axis, str):
            factor, name, divisor = split_axis(axis)
            # Patches are an axis of their own: the exporter knows no division that rounds up.
            name = name if divisor == 1 else f"{name}_patches"
            dim = dims.setdefault(name, torch.export.Dim(name, min=1, max=65536))
            found[index] = factor * dim if factor != 1 else dim
    return found


def _rename(proto: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> None:
    """Give inputs and outputs their names, and everything between a number, so that nothing can clash."""
    names = {f"{_IN}{i}": name for i, name in enumerate(inputs)}
    names |= {f"{_OUT}{i}": name for i, name in enumerate(outputs)}

    def new(name: str) -> str:
        return names.setdefault(name, f"v{len(names)}") if name else name

    for value in [*proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        value.name = new(value.name)
    for node in proto.graph.node:
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]


def _strip(proto: onnx.ModelProto, stage: Stage, axes: Mapping[str, Axes]) -> None:
    """Drop unused inputs and what the exporter notes for debugging, which names files of this machine."""
    used = {name for node in proto.graph.node for name in node.input} | {o.name for o in proto.graph.output}
    kept = [value for value in proto.graph.input if value.name in used or value.name in stage.inputs]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    del proto.graph.value_info[:]
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    proto.producer_name, proto.producer_version, proto.doc_string = "pocketvideo", "", ""
    for value in [*proto.graph.input, *proto.graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
    for index, node in enumerate(proto.graph.node):
        node.name, node.doc_string = f"{node.op_type}_{index}", ""
        del node.metadata_props[:]
    named = {name: name for name in stage.inputs} | {output_name(stage, name): name for name in stage.outputs}
    for value in [*proto.graph.input, *proto.graph.output]:
        if value.name in named:
            for dim, axis in zip(
                value.type.tensor_type.shape.dim, axes[named[value.name]].names, strict=True
            ):
                if isinstance(axis, str):
                    dim.dim_param = axis
