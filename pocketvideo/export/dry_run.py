"""Plan only: what an export would hold, send and need on a device, before anything is exported.

Reads the model file's header and no weights. What the export cache already holds is told exactly, by the
digests of its files; the rest from shapes (`meta_sizes.py`).
"""

import hashlib
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .adapters.exporting import in_pieces
from .bundling import SELF_TEST, WORKFLOW, canonical, missing_package, write_photo, write_self_test
from .cache import ExportCache, fingerprint
from .dry_run_models import Model, Own, Published, named
from .fixed_prompts import EDITABLE, FEATURES, with_prompts
from .layout import USUAL, Form, check_form
from .modelfile import file_digest
from .plan import FIRST_DENOISER, Plan
from .plan_sizes import at_once, plan_sizes
from .precision import FLOAT32, FULL, Precision, first_choice
from .precision import describe as levels_of
from .small_decoders import with_decoder

# Graphs of blocks and text layers take 2 to 20 KB; one of a VAE that was not exported yet may take more.
GRAPH_BYTES = 40_000
# One of a VAE whose 3-D convolutions are taken apart.
FLAT_GRAPH_BYTES = 120_000
# A line of the manifest's list of files, and the manifest besides plan and inputs.
FILE_ENTRY_BYTES, MANIFEST_BYTES = 105, 2_000
# Python, numpy and onnxruntime before a network is loaded: 76 MB measured on Linux.
RUNTIME_BYTES = 80_000_000
# What a level stores per weight of float32, with its scales.
SHARES = {"fp32": 1.0, "fp16": 0.5, "int8": 0.28, "int4": 0.16}


@dataclass(frozen=True)
class DeviceLimits:
    """What a device says of itself, in bytes: memory that a run may take, storage that is free."""

    memory: int | None = None
    storage: int | None = None


@dataclass(frozen=True)
class _Wanted:
    """How components are to be exported."""

    precision: Precision
    form: Form
    flat: bool


@dataclass(frozen=True)
class _File:
    """A file of the bundle to be; `sha256` is None while only an export could tell."""

    path: str
    kind: str
    bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class _Part:
    """A component of the bundle to be; `folder` is where an exported one is kept."""

    name: str
    stages: int
    weights: int
    largest_stage: int
    activations: int
    self_test: int
    files: tuple[_File, ...]
    folder: Path | None = None
    # What a precision that is measured may end at, in words; empty where nothing is measured.
    range: str = ""

    @property
    def exported(self) -> bool:
        """Whether the cache holds it, so that nothing of it is estimated."""
        return self.folder is not None


def plan_only(
    plan: Plan,
    model_path: str | Path | None,
    *,
    cache_dir: str | Path,
    prompts: str = EDITABLE,
    precision: Precision = FLOAT32,
    form: Form = USUAL,
    flat_convolutions: bool = False,
    decoder: Path | None = None,
    held: Collection[str] = (),
    limits: DeviceLimits | None = None,
) -> dict[str, Any]:
    """What `export_bundle` would make of these arguments, as plain data for a page or a command.

    Args:
        precision, form, flat_convolutions, decoder: as `export_bundle` takes them.
        held: the sha256 of files that the device has already.
        limits: what the device has room for; nothing is compared where it is not given.

    Returns a dict: `components` (name, stages, weights, largest_stage, activations, exported), `files` (bytes
    by kind), `bytes`, `exact` (False while sizes are estimated from shapes), `inputs`, `memory` (`whole` has
    room for the largest component, `least` streams its blocks), `send` (`bytes`, `at_most`), `problems`
    (sentences) and `notes`. All sizes are bytes.

    Raises WorkflowError and ExportError as `export_bundle` does.
    """
    plan, cache = with_decoder(with_prompts(plan, prompts), decoder), ExportCache(Path(cache_dir))
    check_form(form, plan.components, own=not plan.parts)
    model: Model = Published(plan.parts) if plan.parts else Own(named(model_path), plan.relatives)
    sizes = plan_sizes(plan, model.tokens)
    wanted = _Wanted(precision, form, flat_convolutions)
    parts = [_part(name, plan, model, cache, wanted, sizes) for name in plan.components]
    files = [*(file for part in parts for file in part.files), *_own_files(plan, model, cache)]
    files.append(_self_test(parts))
    files.append(_File("manifest.json", "manifest", _manifest(plan, files)))
    total = sum(file.bytes for file in files)
    sent = [file for file in files if file.sha256 is None or file.sha256 not in held]
    memory = _memory(parts)
    exact = all(part.exported for part in parts)
    report: dict[str, Any] = {
        "model": model.name,
        "components": [
            {
                "name": part.name,
                "stages": part.stages,
                "weights": part.weights,
                "largest_stage": part.largest_stage,
                "activations": part.activations,
                "exported": part.exported,
            }
            for part in parts
        ],
        "files": _by_kind(files),
        "bytes": total,
        "exact": exact,
        "inputs": {name: dict(spec) for name, spec in plan.inputs.items()},
        "memory": memory,
        # What an export measures may become more than what it begins at.
        "send": {
            "bytes": sum(file.bytes for file in sent),
            "at_most": not exact and not any(part.range for part in parts),
        },
    }
    problems, notes = _compare(report, parts, limits or DeviceLimits())
    return report | {"problems": problems, "notes": notes}


def describe(report: Mapping[str, Any]) -> str:
    """A report of `plan_only` for people, several lines."""
    about = "" if report["exact"] else "about "
    lines = [f"{report['model']}: {about}{_mb(report['bytes'])}"]
    for part in report["components"]:
        state = "exported before" if part["exported"] else "to be exported"
        lines.append(
            f"  {part['name']}: {part['stages']} stages, weights {_mb(part['weights'])}, largest stage "
            f"{_mb(part['largest_stage'])}, activations {_mb(part['activations'])} ({state})"
        )
    kinds = ", ".join(f"{kind.replace('_', ' ')} {_mb(size)}" for kind, size in report["files"].items())
    most = "at most " if report["send"]["at_most"] else about
    lines += [
        f"  files: {kinds}",
        f"  to send: {most}{_mb(report['send']['bytes'])}",
        f"  memory: {_mb(report['memory']['whole'])} with {report['memory']['component']} whole, "
        f"{_mb(report['memory']['least'])} with its blocks streamed",
        f"  editable on the device: {', '.join(report['inputs']) or 'nothing'}",
    ]
    lines += [f"  note: {note}" for note in report["notes"]]
    lines += [f"  does not fit: {problem}" for problem in report["problems"]]
    return "\n".join(lines)


def _part(
    name: str, plan: Plan, model: Model, cache: ExportCache, wanted: _Wanted, sizes: dict[str, int]
) -> _Part:
    lender = model.lender(name) if model.lender(name) in plan.components else None
    # What borrows its weights has no sizes to be run at, once it is exported.
    at = at_once(plan, name, sizes)
    level = FULL if in_pieces(name, plan.components) else wanted.precision.of(lender or name)
    form = wanted.form if name == FIRST_DENOISER or name in plan.relatives else USUAL
    entry = cache.component(model.key(name) if form == USUAL else model.key(name, str(form)))
    if entry is not None and level.level != FULL.level:
        entry = cache.component(fingerprint([entry[0].name, asdict(level)]))
    if entry is not None:
        flat = wanted.flat and _flat(name, entry, None if lender else at)
        return flat or _exported(name, entry, None if lender else at)
    try:
        size = model.size(name, at, form)
    except ImportError as error:
        raise missing_package(error) from None
    levels = first_choice(len(size.stages), level.level)
    weights = [
        _File(f"{name}/{stage.weights}", "weights", int(SHARES[each] * stage.bytes))
        for stage, each in zip(size.stages, levels, strict=True)
    ]
    each_graph = FLAT_GRAPH_BYTES if wanted.flat and name.startswith("vae_") else GRAPH_BYTES
    others = [_File(f"{name}/{g}", "graphs", each_graph) for g in {stage.graph for stage in size.stages}]
    others += [_File(f"{name}/{file}", "tokenizers", n) for file, n in model.texts(name).items()]
    total = sum(file.bytes for file in weights)
    measured = ""
    if level.level != FULL.level and not lender:
        most = sum(stage.bytes for stage in size.stages)
        measured = (
            f"{name} begins with {levels_of(levels)} and is given more bits, stage by stage, until the "
            f"export measures {level.target:.0f} dB: its weights take {_mb(total)} or more, and {_mb(most)} "
            "at most"
        )
    return _Part(
        name,
        len(size.stages),
        0 if lender else total,
        max(file.bytes for file in weights),
        size.activations,
        size.self_test,
        (*([] if lender else weights), *others),
        range=measured,
    )


def _flat(name: str, found: tuple[Path, Mapping[str, Any]], sizes: dict[str, int] | None) -> _Part | None:
    """An exported component with its 3-D convolutions taken apart; None where it has none.

    Rewriting a graph needs no weights, so that the bundle's own bytes are known before it is made.
    """
    try:
        import onnx

        from .flat_convolutions import flatten, has_deep_convolutions
    except ImportError as error:
        raise missing_package(error) from None
    folder, entry = found
    deep = [
        path
        for path in entry["component"]["graphs"].values()
        if has_deep_convolutions(onnx.load(folder / path))
    ]
    if not deep:
        return None
    with tempfile.TemporaryDirectory() as made:
        files = dict(entry["files"])
        for path in files:
            target = Path(made) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path in deep:
                graph = flatten(onnx.load(folder / path)).SerializeToString(deterministic=True)
                target.write_bytes(graph)
                files[path] = [hashlib.sha256(graph).hexdigest(), len(graph)]
            else:
                target.symlink_to((folder / path).resolve())
        part = _exported(name, (Path(made), {**entry, "files": files}), sizes)
    return replace(part, folder=folder)


def _exported(name: str, found: tuple[Path, Mapping[str, Any]], sizes: dict[str, int] | None) -> _Part:
    """A component that is in the cache; one that borrows its weights has no `sizes` to be run at here."""
    folder, entry = found
    files = dict(entry["files"])
    test = files.pop(SELF_TEST)
    activations = 0
    if sizes is not None:
        try:
            from .memory import component_peak
        except ImportError as error:
            raise missing_package(error) from None
        activations = component_peak(folder, entry["component"], sizes)
    return _Part(
        name,
        len(entry["component"]["stages"]),
        entry["memory"]["weights"],
        entry["memory"]["largest_stage"],
        activations,
        test[1],
        tuple(_File(path, _kind(path), size, digest) for path, (digest, size) in sorted(files.items())),
        folder,
    )


def _own_files(plan: Plan, model: Model, cache: ExportCache) -> Iterable[_File]:
    """The files that the plan brings with it: photos, encoded prompts, the workflow."""
    with tempfile.TemporaryDirectory() as folder:
        for name, photo in plan.photos.items():
            written = Path(folder) / name
            write_photo(photo, written)
            yield _File(name, "photos", written.stat().st_size, file_digest(written))
    for name, text in plan.texts.items():
        entry = cache.component(model.key("features", text))
        if entry is not None:
            sha256, size = entry[1]["files"][FEATURES]
            yield _File(name, "prompts", size, sha256)
        else:
            yield _File(name, "prompts", 200 + 4 * model.tokens * (model.text_width + 1))
    workflow = canonical(plan.workflow).encode()
    yield _File(WORKFLOW, "workflow", len(workflow), hashlib.sha256(workflow).hexdigest())


def _memory(parts: list[_Part]) -> dict[str, Any]:
    """A device holds one component at a time; the one that needs most decides."""
    whole = max(parts, key=lambda part: part.weights + part.activations)
    least = max(parts, key=lambda part: part.largest_stage + part.activations)
    return {
        "whole": RUNTIME_BYTES + whole.weights + whole.activations,
        "component": whole.name,
        "least": RUNTIME_BYTES + least.largest_stage + least.activations,
        "least_component": least.name,
    }


def _compare(
    report: Mapping[str, Any], parts: list[_Part], limits: DeviceLimits
) -> tuple[list[str], list[str]]:
    problems, notes = [], []
    memory, send = report["memory"], report["send"]["bytes"]
    if limits.storage is not None and send > limits.storage:
        problems.append(
            f"{_mb(send)} are to be sent and the device has {_mb(limits.storage)} of storage left; free "
            f"{_mb(send - limits.storage)} there, or export with a lower precision."
        )
    if limits.memory is not None and memory["least"] > limits.memory:
        worst = next(part for part in parts if part.name == memory["least_component"])
        remedy = (
            "make the video smaller or shorter"
            if worst.activations > worst.largest_stage
            else "export with a lower precision"
        )
        problems.append(
            f"The component {worst.name} needs {_mb(memory['least'])} of memory with its blocks streamed "
            f"(largest block {_mb(worst.largest_stage)}, activations {_mb(worst.activations)}, the runtime "
            f"{_mb(RUNTIME_BYTES)}) and the device has {_mb(limits.memory)}; {remedy}."
        )
    elif limits.memory is not None and memory["whole"] > limits.memory:
        notes.append(
            f"{memory['component']} does not fit into {_mb(limits.memory)} of memory whole, so the device "
            "streams its blocks from storage."
        )
    if not report["exact"]:
        notes.append("Sizes of what was not exported yet follow from shapes and may differ by some percent.")
    notes += [f"{part.range}." for part in parts if part.range]
    return problems, notes


def _kind(path: str) -> str:
    return {".onnx": "graphs", ".safetensors": "weights"}.get(Path(path).suffix, "tokenizers")


def _self_test(parts: list[_Part]) -> _File:
    """The bundle's one file of self-tests: as it will be, where every component was exported before."""
    folders = [part.folder for part in parts if part.folder is not None]
    if len(folders) < len(parts):
        return _File(SELF_TEST, "self_test", sum(part.self_test for part in parts))
    with tempfile.TemporaryDirectory() as folder:
        write_self_test(Path(folder), folders)
        written = Path(folder) / SELF_TEST
        return _File(SELF_TEST, "self_test", written.stat().st_size, file_digest(written))


def _manifest(plan: Plan, files: list[_File]) -> int:
    listed = sum(FILE_ENTRY_BYTES + len(file.path) for file in files)
    return MANIFEST_BYTES + listed + len(canonical([dict(plan.inputs), list(plan.ops)]).encode())


def _by_kind(files: Iterable[_File]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for file in files:
        kinds[file.kind] = kinds.get(file.kind, 0) + file.bytes
    return kinds


def _mb(count: int) -> str:
    """A size for people; of small files the kilobytes count."""
    return f"{count / 1e6:.1f} MB" if count >= 10**6 else f"{-(-count // 1000)} KB"
