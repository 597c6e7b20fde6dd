"""A bundle of one denoiser with random weights: no plan, but sizes, speed and memory of an architecture.

It can be verified, self-tested and measured on a device (docs/engine.md), and it makes no video.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ...mobile_runtime.bundle import Bundle, Manifest, write_bundle
from .bundling import CREATED_BY, SELF_TEST, WORKFLOW, Progress, check_target
from .cache import ExportCache, code_fingerprint
from .errors import ExportError
from .layout import USUAL, Form
from .precision import FLOAT32, FULL, Precision
from .stages import Stage


def export_random(
    preset_name: str,
    out_dir: str | Path,
    *,
    cache_dir: str | Path,
    clip: tuple[int, int, int] = (17, 256, 448),
    seed: int = 0,
    precision: Precision = FLOAT32,
    form: Form = USUAL,
    progress: Progress | None = None,
) -> Bundle:
    """Write the bundle of a preset's denoiser with random weights into `out_dir`, and return it.

    Args:
        preset_name: a key of `random_weights.RANDOM_PRESETS`.
        out_dir: a new folder, or one that holds a bundle, which is replaced once the new one is finished.
        cache_dir: where graphs are kept; weights are not kept, as they follow from the seed.
        clip: frames, height and width in pixels that the memory estimate is for.
        seed: which random weights.
        precision: how the weights are stored, from `parse_precision`.
        form: how tokens lie in memory and heads are computed, from `parse_form`.
        progress: called with units done, units in all, and a few words.

    Raises:
        ExportError: there is no such preset or form of it, a package is missing, or `out_dir` holds something
        else.
        ParityError: an exported stage does not compute what its torch source computes.
    """
    try:
        from .components import graph_key, list_files, write_stages
        from .graphs import export_stage
        from .layout_stages import shaped
        from .memory import component_peak
        from .precision_export import lower_component
        from .random_weights import RANDOM_PRESETS
    except ImportError as error:
        raise ExportError(
            f"Exporting needs the package {error.name}, which is not installed; "
            'run: pip install "pocketvideo[export]".'
        ) from None
    if preset_name not in RANDOM_PRESETS:
        names = ", ".join(sorted(RANDOM_PRESETS))
        raise ExportError(f"There is no preset {preset_name}; the presets with random weights are {names}.")
    target = Path(out_dir)
    check_target(target)
    preset = RANDOM_PRESETS[preset_name]
    part = shaped(preset.component(seed), form)
    cache, code = ExportCache(Path(cache_dir)), code_fingerprint()
    wanted = precision.of(part.name)
    done, total = 0, len(part.stages) + 2

    def step(words: str) -> None:
        nonlocal done
        if progress is not None:
            progress(done, total, words)
        done += 1

    def extra(words: str) -> None:
        nonlocal total
        total += 1
        step(words)

    def graph(stage: Stage) -> Path:
        key = graph_key(code, part.name, [preset.identity, str(form)], stage.graph)
        return cache.graph(key, lambda: export_stage(stage, part.axes, f"{part.name}/{stage.graph}"))

    def fill(folder: Path) -> None:
        if wanted.level == FULL.level:
            entry = write_stages(folder, part, preset.length, graph, step)
        else:
            # Beside the bundle rather than where the system keeps small things: a network may be large.
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.float32-") as plain:
                entry = write_stages(Path(plain), part, preset.length, graph, step)
                entry |= {"files": {SELF_TEST: []}}
                entry = lower_component(
                    folder, source=Path(plain), entry=entry, name=part.name, wanted=wanted, step=extra
                )
        step("Writing the bundle")
        frames, height, width = preset.grid(*clip)
        sizes = {"batch": 1, "frames": frames, "height": height, "width": width, "length": preset.length}
        (folder / WORKFLOW).write_text("{}", "utf-8")
        manifest = {
            "format": "pocketvideo-bundle",
            "version": 1,
            "name": f"{preset_name} with random weights",
            "created_by": CREATED_BY,
            "license": "",
            "inputs": {},
            "plan": [],
            "components": {part.name: entry["component"]},
            "files": [],
            "memory": entry["memory"]
            | {"activations_estimate": component_peak(folder, entry["component"], sizes)},
            "self_test": {"file": SELF_TEST, "components": {part.name: {"min_psnr": entry["min_psnr"]}}},
            "workflow": WORKFLOW,
        }
        known = {path: (str(digest), int(size)) for path, (digest, size) in list_files(folder).items()}
        write_bundle(folder, cast(Manifest, manifest), known)

    _replace(target, fill)
    if progress is not None:
        progress(1, 1, "The bundle is written")
    return Bundle.open(target)


def _replace(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder beside `target` and put it in its place, so a kill leaves `target` as it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.unfinished-"))
    try:
        folder.chmod(0o755)
        fill(folder)
        if target.exists():
            shutil.rmtree(target)
        os.replace(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
