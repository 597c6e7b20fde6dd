"""Finished components for devices without 3-D convolutions: other graphs over the same files of weights."""

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from ...mobile_runtime.bundle import open_tensors, psnr
from .cache import ExportCache, fingerprint
from .components import SELF_TEST, list_files
from .errors import ExportError, ParityError
from .flat_convolutions import flatten, has_deep_convolutions
from .graphs import NEXT
from .lint import FLAT, check

Entry = tuple[Path, dict[str, Any]]
Step = Callable[[str], None]


def flat_components(entries: Mapping[str, Entry], cache: ExportCache, step: Step) -> dict[str, Entry]:
    """The components with every 3-D convolution taken apart; those that have none stay as they are.

    `step` is called before each unit of work with a few words; it may raise to stop. Raises `ExportError` for
    a graph that cannot be taken apart, and `ParityError` for one that then computes something else.
    """
    made = dict(entries)
    folders = [folder for folder, _ in entries.values()]
    for name, (source, entry) in entries.items():
        paths = entry["component"]["graphs"].values()
        deep = [path for path in paths if has_deep_convolutions(onnx.load(source / path))]
        if not deep:
            continue
        key = fingerprint([source.name, "flat convolutions"])
        found = cache.component(key)
        if found is None:
            step(f"Flattening the convolutions of {name}")
            found = cache.store(
                key,
                partial(_flatten, source=source, entry=entry, name=name, deep=deep, folders=folders),
            )
        made[name] = found
    return made


def _flatten(
    folder: Path, *, source: Path, entry: Mapping[str, Any], name: str, deep: list[str], folders: list[Path]
) -> dict[str, Any]:
    for path in entry["files"]:
        if path not in deep:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            _link(source / path, folder / path)
    for path in deep:
        try:
            graph = flatten(onnx.load(source / path))
        except ValueError as error:
            raise ExportError(
                f"The graph {path} cannot do without 3-D convolutions, because {error}; export it with them."
            ) from None
        check(graph, path, FLAT)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(graph.SerializeToString(deterministic=True))
    figure = _likeness(folder, entry["component"], name, folders)
    if figure < entry["min_psnr"]:
        raise ParityError(
            f"The {name} with flat convolutions differs from its torch source: {figure:.1f} dB where "
            f"{entry['min_psnr']:.0f} dB are needed; do not use this export and report it."
        )
    return {
        **entry,
        "parity": {**entry["parity"], "flat": round(min(figure, 999.0), 1)},
        "files": list_files(folder),
    }


def _likeness(folder: Path, described: Mapping[str, Any], name: str, folders: list[Path]) -> float:
    """PSNR in dB of the component on its own self-test; weights may lie in another component's folder."""
    tensors = open_tensors(folder / SELF_TEST)
    values = {key.removeprefix(f"{name}.in."): value for key, value in tensors.items()}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for stage in described["stages"]:
        data = (folder / described["graphs"][stage["graph"]]).read_bytes()
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        holder = next(each for each in (folder, *folders) if (each / stage["weights"]).is_file())
        weights = open_tensors(holder / stage["weights"])
        feed = {
            wanted.name: np.asarray(weights[wanted.name] if wanted.name in weights else values[wanted.name])
            for wanted in session.get_inputs()
        }
        names = [output.name for output in session.get_outputs()]
        made = session.run(names, feed)
        values |= dict(zip((each.removesuffix(NEXT) for each in names), made, strict=True))
    return min(psnr(values[output], tensors[f"{name}.out.{output}"]) for output in described["outputs"])


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
