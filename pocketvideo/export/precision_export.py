"""A float32 component to one in fewer bits, as the cache and the bundle hold components."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .components import SELF_TEST, list_files
from .precision import Wanted
from .precision_choice import choose
from .precision_run import Variants


def lower_component(
    folder: Path,
    *,
    source: Path,
    entry: Mapping[str, Any],
    name: str,
    wanted: Wanted,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """Write a component in the wanted precision into `folder` and return its cache entry.

    Args:
        folder: empty.
        source: the folder of the component in float32, which is not touched.
        entry: its cache entry.
        name: of the component.
        wanted: where to begin and what to reach.
        step: called before each unit of work with a few words; it may raise to stop.

    Raises:
        ParityError: the target is not reached even in float32.
        ExportError: a weight does not fit the precision.
    """
    described = entry["component"]
    (folder / name).mkdir()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        variants = Variants(source, described, name, source / SELF_TEST, Path(scratch))
        reached = choose(variants, wanted, step)
        graphs: dict[str, str] = {}
        stages: list[dict[str, str]] = []
        sizes: list[int] = []
        step(f"Writing {name}")
        for index, (stage, level) in enumerate(zip(variants.stages, reached.levels, strict=True)):
            graph, data, _ = variants.graph(index, level)
            graphs[graph] = f"{name}/{graph}.onnx"
            (folder / graphs[graph]).write_bytes(data)
            packed = Path(scratch) / variants.file_name(index, level)
            shutil.copyfile(
                packed if packed.is_file() else source / stage["weights"], folder / stage["weights"]
            )
            sizes.append(variants.bytes(index, level))
            stages.append({**stage, "graph": graph, "precision": level})
    for path in entry["files"]:
        if path == SELF_TEST or path == described.get("tokenizer"):
            shutil.copyfile(source / path, folder / path)
    return {
        **entry,
        "component": {**described, "graphs": graphs, "stages": stages},
        "parity": {
            "whole": round(min(reached.psnr, 999.0), 1),
            **{
                stage: round(min(figure, 999.0), 1)
                for stage, figure in zip(reached.names, reached.stages, strict=True)
            },
        },
        "min_psnr": wanted.device_target,
        "memory": {"weights": sum(sizes), "largest_stage": max(sizes)},
        "files": list_files(folder),
    }
