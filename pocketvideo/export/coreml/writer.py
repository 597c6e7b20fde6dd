"""A model's components to a folder of Core ML packages and its index, coreml.json."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..cache import ExportCache, code_fingerprint, fingerprint
from ..errors import ExportCancelled, ExportError
from ..graphs import stage_weights
from ..modelfile import file_digest
from ..stages import Component, Stage
from .convert import TARGET, convert_stage, hint, require_coremltools
from .gate import Gate, Predictor, system_predictor, threshold
from .options import CoreMLOptions
from .shapes import dtype_of, named_sizes, output_name

log = logging.getLogger(__name__)

INDEX = "coreml.json"
FORMAT, VERSION = "pocketvideo-coreml", 1
UNCHECKED = "not checked: Core ML runs on macOS only; export again there to prove it"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Part:
    """A component to export, the number of prompt tokens it is exported for, and files that go with it."""

    component: Component
    length: int
    files: Mapping[str, str]
    notes: Mapping[str, Any]


def export_coreml(
    parts: list[Part],
    out_dir: str | Path,
    options: CoreMLOptions,
    *,
    cache_dir: str | Path,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    predict: Predictor | None = None,
) -> dict[str, Any]:
    """Write one package per stage into `out_dir`, with an index, and return the index.

    Args:
        parts: what to export.
        out_dir: a new folder, or one that holds an earlier Core ML export, which is replaced at the end.
        options: sizes, precision, compression, compute-unit hints.
        cache_dir: where finished packages are kept, so that an interrupted export goes on from them.
        progress: called with units done, units in all, and a few words.
        cancel: when set, the export stops before the next package with `ExportCancelled`.
        predict: runs a package for the parity gate; by default Core ML itself on macOS, and elsewhere
        nothing: then the index and the log say that parity was not checked.

    Raises:
        ExportError: a stage cannot be converted, or `out_dir` holds something else.
        ParityError: a package does not compute what its torch source computes.
    """
    target = Path(out_dir)
    _check_target(target)
    require_coremltools()
    run = predict or system_predictor()
    cache = ExportCache(Path(cache_dir))
    steps = _Steps(progress, cancel, sum(len(part.component.stages) + 1 for part in parts))
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.unfinished-"))
    try:
        folder.chmod(0o755)
        described = {
            part.component.name: _component(part, folder, options, cache, run, steps) for part in parts
        }
        index = {
            "format": FORMAT,
            "version": VERSION,
            "deployment_target": TARGET,
            "sizes": asdict(options.sizes),
            "parity": "checked" if run else UNCHECKED,
            "components": described,
            "files": _files(folder),
        }
        text = json.dumps(index, indent=1, sort_keys=True)
        (folder / INDEX).write_text(text + "\n", "utf-8")
        if target.exists():
            shutil.rmtree(target)
        os.replace(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if run is None:
        log.warning("The parity of the Core ML export was %s.", UNCHECKED)
    steps.finish()
    return dict(json.loads(text))


def _component(
    part: Part,
    folder: Path,
    options: CoreMLOptions,
    cache: ExportCache,
    run: Predictor | None,
    steps: _Steps,
) -> dict[str, Any]:
    network, name = part.component, part.component.name
    gate = Gate(network, options, part.length, run) if run else None
    (folder / name).mkdir()
    for file, text in part.files.items():
        (folder / name / file).write_text(text, "utf-8")
    stages = []
    for stage in network.stages:
        steps(f"Exporting {name}: {stage.weights}")
        module = stage.build()
        units = options.units_of(name, stage.weights) or hint(
            module, options.precision_of(name), options.sizes
        )
        package = f"{name}/{stage.weights}.mlpackage"
        _package(part, stage, module, units, folder / package, options, cache)
        compression = options.compression_of(name, stage.weights)
        figure = gate.stage(stage, module, folder / package, compression) if gate else None
        stages.append(
            {
                "package": package,
                "inputs": {each: each for each in stage.inputs},
                "outputs": {each: output_name(stage, each) for each in stage.outputs},
                "compute_units": units,
                "compression": compression,
                "bytes": sum(file.stat().st_size for file in (folder / package).rglob("*") if file.is_file()),
                "parity_db": _rounded(figure),
                "min_psnr": threshold(options.precision_of(name), compression),
            }
        )
    steps(f"Checking {name}")
    precision = options.precision_of(name)
    return {
        "kind": network.kind,
        "precision": precision,
        "inputs": list(network.inputs),
        "outputs": list(network.outputs),
        "activations": {
            each: {"dtype": dtype_of(network, each, precision).__name__, "axes": list(axes.names)}
            for each, axes in network.axes.items()
        },
        "stages": stages,
        "parity_db": _rounded(gate.finish() if gate else None),
        **part.notes,
    }


def _package(
    part: Part,
    stage: Stage,
    module: nn.Module,
    units: str,
    target: Path,
    options: CoreMLOptions,
    cache: ExportCache,
) -> None:
    """Put the package of a stage at `target`, from the cache where it is there."""
    network, name = part.component, part.component.name
    key = fingerprint(
        [
            "coreml",
            code_fingerprint(),
            _own_fingerprint(),
            require_coremltools().__version__,
            torch.__version__,
            _weights_digest(module),
            repr(module),
            [[each, list(network.axes[each].names)] for each in (*stage.inputs, *stage.outputs)],
            [name, stage.weights, named_sizes(options.sizes, options.sizes.largest, part.length)],
            asdict(options.sizes),
            [options.precision_of(name), options.compression_of(name, stage.weights), units],
        ]
    )
    found = cache.component(key)
    if found is None:

        def fill(folder: Path) -> Mapping[str, Any]:
            # A module of its own, because converting takes it apart.
            convert_stage(
                network,
                stage,
                stage.build(),
                folder / "stage.mlpackage",
                options=options,
                length=part.length,
                units=units,
            )
            return {"files": {path: [digest, size] for path, (digest, size) in _files(folder).items()}}

        found = cache.store(key, fill)
    shutil.copytree(found[0] / "stage.mlpackage", target)


class _Steps:
    """Counts units of work for the caller's progress, and stops when the caller says so."""

    def __init__(self, progress: Progress | None, cancel: threading.Event | None, total: int) -> None:
        self.progress, self.cancel, self.total, self.done = progress, cancel, total, 0

    def __call__(self, words: str) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise ExportCancelled("The export was cancelled; start it again to go on from what is finished.")
        if self.progress is not None:
            self.progress(self.done, self.total, words)
        self.done += 1

    def finish(self) -> None:
        if self.progress is not None:
            self.progress(self.total, self.total, "The packages are written")


@functools.cache
def _own_fingerprint() -> str:
    """sha256 of this folder's sources: a changed exporter reuses nothing."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _weights_digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in stage_weights(module).items():
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _files(folder: Path) -> dict[str, tuple[str, int]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): (file_digest(file), file.stat().st_size) for file in files}


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(min(figure, 999.0), 1)


def _check_target(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ExportError(f"{target} is not a folder; name a new folder for the packages.")
    if target.is_dir() and any(target.iterdir()) and not (target / INDEX).is_file():
        raise ExportError(f"The folder {target} holds other files; name a new folder for the packages.")
