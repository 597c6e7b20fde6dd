"""A twin in the precision of the component whose weights it shares: other graphs, the same files."""

import filecmp
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .components import SELF_TEST, list_files
from .errors import ExportError, ParityError
from .precision import DEVICE_MARGIN, GATES
from .precision_run import Variants


def lower_twin(
    folder: Path,
    *,
    source: Path,
    entry: Mapping[str, Any],
    name: str,
    weights: Path,
    base: Path,
    base_entry: Mapping[str, Any],
    step: Callable[[str], None],
) -> dict[str, Any]:
    """Write a twin's graphs for its base's weights into `folder` and return its cache entry.

    Args:
        folder: empty.
        source: the folder of the twin in float32.
        entry: its cache entry.
        name: of the twin.
        weights: the folder of its base in float32.
        base: the folder of its base in the wanted precision.
        base_entry: the cache entry of that.
        step: called before each unit of work with a few words; it may raise to stop.

    Raises:
        ParityError: it is further from torch than the gate of its least precise stage.
        ExportError: its graphs ask for other weights than the base has.
    """
    described = entry["component"]
    full = [{**stage, "weights": str(weights / stage["weights"])} for stage in described["stages"]]
    (folder / name).mkdir()
    graphs: dict[str, str] = {}
    stages: list[dict[str, str]] = []
    lowered = base_entry["component"]["stages"]
    levels = [stage["precision"] for stage in lowered]
    # A merge may choose other tokens where a bit is missing, so that a stage by itself says little.
    target = min(GATES[level] for level in levels)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        variants = Variants(source, {**described, "stages": full}, name, source / SELF_TEST, Path(scratch))
        step(f"Measuring {name}")
        reached = variants.measure(levels)
        if reached.psnr < target:
            raise ParityError(
                f"The {name} is too far from torch with its denoiser's weights: {reached.psnr:.1f} dB where "
                f"{target:.0f} dB are needed; choose fp32, or remove Temporal Token Merge."
            )
        for index, (stage, level) in enumerate(zip(lowered, levels, strict=True)):
            graph, data, _ = variants.graph(index, level)
            packed = Path(scratch) / variants.file_name(index, level)
            if packed.is_file() and not filecmp.cmp(packed, base / stage["weights"], shallow=False):
                raise ExportError(
                    f"The graph {graph} of the {name} asks for other weights than {stage['weights']} holds; "
                    "choose fp32 and report this model."
                )
            graphs[graph] = f"{name}/{graph}.onnx"
            (folder / graphs[graph]).write_bytes(data)
            stages.append({**stage, "graph": graph})
    shutil.copyfile(source / SELF_TEST, folder / SELF_TEST)
    return {
        **entry,
        "component": {**described, "graphs": graphs, "stages": stages},
        "parity": {"whole": round(min(reached.psnr, 999.0), 1)},
        "min_psnr": target - DEVICE_MARGIN,
        "files": list_files(folder),
    }
