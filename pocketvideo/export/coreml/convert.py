"""One stage to one Core ML package for iOS 18, by torch.export and coremltools.

The program is exported without decompositions, so that attention stays one operation. The authors of
coremltools have not tested it with this torch; what stands in the way is moved aside in the exported graph,
not in coremltools, and the parity gate says whether the result is right.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..stages import Component, Stage
from .compress import compress
from .forms import Varargs, coreml_form
from .norms import rms_norm, scale_norms
from .options import CoreMLOptions, Sizes
from .package import write_package
from .shapes import coreml_inputs, dtype_of, example_inputs, output_name, torch_dimensions

log = logging.getLogger(__name__)

TARGET = "iOS18"
# Where the metadata of a package keeps its compute-unit hint.
UNITS_NOTE = "pocketvideo.computeUnits"
# Hardware may take float16 numbers below for zero.
SMALLEST_NORMAL = 2.0**-14
# What every operation that matters more than rounding flows into, and where the search for it ends.
_ANGLE_USERS = frozenset(("cos", "sin"))
_MIXING = frozenset(("linear", "conv", "layer_norm", "scaled_dot_product_attention"))


def convert_stage(
    component: Component,
    stage: Stage,
    module: nn.Module,
    path: Path,
    *,
    options: CoreMLOptions,
    length: int,
    units: str,
) -> None:
    """Write the package of a stage to `path`.

    `module` is the stage in export form and is taken apart; `length` is the number of prompt tokens, `units`
    the compute-unit hint that the package carries. Raises `ExportError` with coremltools' cause.
    """
    where = f"{component.name}/{stage.weights}"
    precision = options.precision_of(component.name)
    compression = options.compression_of(component.name, stage.weights)
    ct = require_coremltools()
    frames, height, width = options.sizes.largest
    try:
        with quiet(), torch.no_grad():
            program = _program(
                Varargs(coreml_form(module, frames * height * width)).eval(),
                example_inputs(stage, component.axes, options.sizes, length),
                torch_dimensions(stage, component.axes, options.sizes),
            )
            if precision == "float16":
                scale_norms(program.graph)
                _raise_epsilons(program)
            model = ct.convert(
                program,
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, TARGET),
                inputs=coreml_inputs(component, stage, options.sizes, length, precision),
                outputs=[
                    ct.TensorType(name=output_name(stage, name), dtype=dtype_of(component, name, precision))
                    for name in stage.outputs
                ],
                compute_precision=(
                    ct.transform.FP16ComputePrecision(op_selector=lambda op: not _feeds_angle(op))
                    if precision == "float16"
                    else ct.precision.FLOAT32
                ),
                skip_model_load=True,
            )
            model = compress(model, compression)
    except ExportError:
        raise
    except Exception as error:  # the converter raises whatever its passes raise
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(
            f"The stage {where} cannot be converted to Core ML ({cause}); report this model."
        ) from error
    notes = {
        "pocketvideo.stage": where,
        UNITS_NOTE: units,
        "pocketvideo.precision": precision,
        "pocketvideo.compression": compression,
    }
    write_package(model, path, notes)


def hint(module: nn.Module, precision: str, sizes: Sizes) -> str:
    """Where a stage is likely to run best, as MLComputeUnits spells it; a hint, not measured on a phone.

    The Neural Engine has neither float32 nor 3-D convolutions, and Core ML keeps programs with ranges of
    sizes off it (apple/coremltools#1029).
    """
    convolves_3d = any(isinstance(layer, nn.Conv3d) for layer in module.modules())
    if precision == "float32" or convolves_3d or sizes.kind == "range":
        return "cpuAndGPU"
    return "cpuAndNeuralEngine"


def require_coremltools() -> Any:
    """The module coremltools; raises `ExportError` with the command that installs it."""
    try:
        with quiet():
            import coremltools
            import coremltools.libmilstoragepython  # writes weights; a build from source comes without
    except ImportError as error:
        if error.name == "coremltools.libmilstoragepython":
            raise ExportError(
                "This coremltools was built from source and cannot write weights; export on Linux or macOS "
                "with a Python for which PyPI has a wheel of it."
            ) from None
        raise ExportError(
            f"A Core ML export needs the package {error.name}, which is not installed; "
            'run: pip install "pocketvideo[coreml]".'
        ) from None
    return coremltools


def _program(module: nn.Module, examples: tuple[torch.Tensor, ...], dimensions: Any) -> Any:
    """An exported program in the few ATen operations that coremltools knows by name."""
    aten = torch.ops.aten
    exported = torch.export.export(module, examples, dynamic_shapes=dimensions, strict=False)
    # So short a table keeps scaled_dot_product_attention and layer_norm whole.
    program = exported.run_decompositions(
        {aten.gelu.default: _gelu, aten.new_ones.default: _ones, aten.rms_norm.default: rms_norm}
    )
    for node in list(program.graph.nodes):
        # coremltools 9.0 knows `cat` and neither its other name nor views that change nothing.
        if node.target in (aten.concatenate.default, aten.concat.default):
            node.target = aten.cat.default
        elif node.target is aten.alias.default:
            node.replace_all_uses_with(node.args[0])
            program.graph.erase_node(node)
        elif node.target is aten.reciprocal.default:
            # coremltools 9.0 writes 1 / (x + 0.0001) for it.
            node.target, node.args = aten.div.Tensor, (1.0, node.args[0])
    _read_sizes(program.graph)
    return program


def _read_sizes(graph: torch.fx.Graph) -> None:
    """Take a size that was computed with a floor from the tensor that has it.

    coremltools 9.0 makes a float of every `//`, and then no shape of it.
    """
    owners: dict[str, tuple[torch.fx.Node, int]] = {}
    for node in list(graph.nodes):
        value = node.meta.get("val")
        if isinstance(value, Tensor):
            for axis, size in enumerate(value.shape):
                owners.setdefault(str(size), (node, axis))
        elif isinstance(value, torch.SymInt) and "//" in str(value) and str(value) in owners:
            with graph.inserting_before(node):
                read = graph.call_function(torch.ops.aten.sym_size.int, owners[str(value)])
            read.meta["val"] = value
            node.replace_all_uses_with(read)
    graph.eliminate_dead_code()


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """The tanh kind of GELU spelled out: coremltools 9.0 takes every named kind for the exact one.

    Its passes put it together again, as the right one.
    """
    if approximate != "tanh":
        return NotImplemented
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))
    return 0.5 * x * (1 + torch.tanh(inner))


def _ones(source: Tensor, size: list[Any], *, dtype: torch.dtype | None = None, **factory: Any) -> Tensor:
    """`new_ones` by the one name for it that coremltools 9.0 knows."""
    return torch.full(size, 1.0, dtype=dtype or source.dtype)


def _raise_epsilons(program: Any) -> None:
    """Raise a constant that keeps a divisor from zero to float16's smallest normal number.

    The 1e-8 of linear attention is zero in float16, so that a query which meets no key would divide 0 by 0.
    """
    for node in program.graph.nodes:
        if node.target in (torch.ops.aten.add.Tensor, torch.ops.aten.add.Scalar):
            value = node.args[1]
            if isinstance(value, float) and 0 < value < SMALLEST_NORMAL:
                node.args = (node.args[0], SMALLEST_NORMAL, *node.args[2:])


def _feeds_angle(operation: Any) -> bool:
    """Whether a MIL operation makes the argument of a sine: at t = 1000 a float16 is off by half a radian."""
    seen: set[int] = set()
    waiting = [operation]
    while waiting:
        one = waiting.pop()
        if one.op_type in _ANGLE_USERS:
            return True
        if id(one) in seen or one.op_type in _MIXING:
            continue
        seen.add(id(one))
        waiting.extend(user for output in one.outputs for user in output.child_ops)
    return False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep coremltools' progress bars and notes on untested versions from a user who has a bar already."""
    loggers = [logging.getLogger(name) for name in ("coremltools", "torch.export")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
