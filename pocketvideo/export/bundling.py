"""Plan and model to a bundle: the components that the plan needs, from the cache where they are there."""

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from ...mobile_runtime.bundle import MANIFEST_NAME, Bundle, Manifest, open_tensors, write_bundle
from ...mobile_runtime.engine.merging import MergeConfig
from .adapters.exporting import PartsSource, in_pieces
from .cache import ExportCache, code_fingerprint, fingerprint
from .errors import ExportCancelled, ExportError
from .fixed_prompts import EDITABLE, FEATURES, with_prompts, write_features
from .layout import USUAL, Form, check_form
from .modelfile import file_digest, read_config, relative
from .plan import FIRST_DENOISER, TWIN_OF, ExampleFrame, PhotoSource, Plan
from .plan_sizes import at_once, plan_sizes
from .precision import FLOAT32, FULL, Precision
from .small_decoders import with_decoder

CREATED_BY = "pocketvideo 0.1.0"
WORKFLOW = "workflow.json"
SELF_TEST = "self_test.safetensors"
MAX_PHOTO_PIXELS = 4096 * 4096

Progress = Callable[[int, int, str], None]


def export_bundle(
    plan: Plan,
    model_path: str | Path | None,
    out_dir: str | Path,
    *,
    cache_dir: str | Path,
    precision: Precision = FLOAT32,
    flat_convolutions: bool = False,
    form: Form = USUAL,
    prompts: str = EDITABLE,
    decoder: Path | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Bundle:
    """Write the bundle of a plan into `out_dir`, which is emptied first, and return it.

    Args:
        plan: from `compile_workflow`.
        model_path: the model file that the plan was compiled for, its relatives beside it; None where the
            plan names its files.
        out_dir: a folder that is new, or holds an earlier bundle.
        cache_dir: where exports are kept; the same folder makes the next export of this model a matter of
        copying.
        precision: how each component's weights are stored, from `parse_precision`; float32 if not given.
        flat_convolutions: for devices without 3-D convolutions; weights stay the same.
        prompts: `editable` sends the text encoder, `fixed` the encoded prompts, which the device's user then
        cannot change.
        decoder: a file of Turbo-VAED that decodes on the device in the place of LTX-Video's own decoder.
        form: how the denoiser's tokens lie in memory and its heads are computed, from `parse_form`.
        progress: called with units done, units in all, and a few words.
        cancel: when set, the export stops at the next unit with `ExportCancelled`; what is finished stays
        cached.

    Raises:
        ExportError: the model cannot be exported, or `out_dir` holds something else than a bundle.
        ParityError: an exported network does not compute what its torch source computes.
    """
    steps = _Steps(progress, cancel)
    target, cache = Path(out_dir), ExportCache(Path(cache_dir))
    plan = with_decoder(with_prompts(plan, prompts), decoder)
    source = PartsSource(plan.parts) if plan.parts else _Source(_named(model_path), steps, plan.relatives)
    config = source.config
    entries = _lowered(_components(plan, source, cache, steps, form), precision, cache, steps)
    if flat_convolutions:
        from .flat_export import flat_components

        entries = flat_components(entries, cache, steps.extra)
    features = _features(plan, source, cache)
    _empty(target)
    steps("Writing the bundle")
    known: dict[str, tuple[str, int]] = {}
    for folder, entry in entries.values():
        for name, (digest, size) in entry["files"].items():
            if name == SELF_TEST:
                continue
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / name)
            known[name] = (digest, size)
    for name, (folder, entry) in features.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / FEATURES, target / name)
        known[name] = tuple(entry["files"][FEATURES])
    write_self_test(target, [folder for folder, _ in entries.values()])
    (target / WORKFLOW).write_text(canonical(plan.workflow), "utf-8")
    for name, photo in plan.photos.items():
        write_photo(photo, target / name)
    manifest = {
        "format": "pocketvideo-bundle",
        "version": 1,
        "name": str(config.get("name") or source.name)[:200],
        "created_by": CREATED_BY,
        "license": str(config.get("license", ""))[:200],
        "inputs": dict(plan.inputs),
        "plan": list(plan.ops),
        "components": {name: entry["component"] for name, (_, entry) in entries.items()},
        "files": [],
        "memory": _memory(plan, entries, target),
        "self_test": {
            "file": SELF_TEST,
            "components": {name: {"min_psnr": entry["min_psnr"]} for name, (_, entry) in entries.items()},
        },
        "workflow": WORKFLOW,
    }
    bundle = write_bundle(target, cast(Manifest, manifest), known)
    steps.finish("The bundle is written")
    return bundle


class _Steps:
    """Counts units of work for the caller's progress, and stops when the caller says so."""

    def __init__(self, progress: Progress | None, cancel: threading.Event | None) -> None:
        self.progress, self.cancel = progress, cancel
        self.done, self.total = 0, 1

    def __call__(self, words: str) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise ExportCancelled("The export was cancelled; start it again to go on from what is finished.")
        if self.progress is not None:
            self.progress(self.done, self.total, words)
        self.done += 1

    def foresee(self, units: int) -> None:
        """So many units of work are to come."""
        self.total += units

    def extra(self, words: str) -> None:
        """A unit of work that nobody could foresee."""
        self.total += 1
        self(words)

    def finish(self, words: str) -> None:
        if self.progress is not None:
            self.progress(self.total, self.total, words)


class _Source:
    """The model file, read when something is exported from it, and what its exports are kept under."""

    def __init__(self, path: Path, steps: _Steps, relatives: Mapping[str, str] | None = None) -> None:
        self.path, self.steps = path, steps
        self.code, self.digest = code_fingerprint(), file_digest(path)
        beside = {name: path.with_name(file) for name, file in (relatives or {}).items()}
        self._relatives = {name: _Source(relative(file), steps) for name, file in beside.items()}

    @property
    def name(self) -> str:
        """What the bundle is called where the model does not say."""
        return self.path.stem

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the model file says of itself."""
        return read_config(self.path)

    def key(self, *what: str) -> str:
        """What an export of this model is kept under."""
        return fingerprint([self.code, self.digest, *what])

    def of(self, name: str) -> "_Source":
        """The file that a component comes from: this one, or a relative's."""
        return self._relatives.get(name, self)

    @cached_property
    def model(self) -> Any:
        """The model, loaded once. Raises `ExportError` where a package is missing."""
        self.steps.extra("Loading the model")
        try:
            from ..models import load_model
        except ImportError as error:
            raise missing_package(error) from None
        return load_model(self.path)

    def encode(self, text: str) -> tuple[Any, Any]:
        """Text features [1, L, D] and mask [1, L] of a prompt, as torch tensors."""
        import torch

        with torch.no_grad():
            features, mask = self.model.encode_text([text])
        return features, mask


def _named(path: str | Path | None) -> Path:
    if path is None:
        raise ExportError("The plan needs a model file; name it.")
    return Path(path)


def missing_package(error: ImportError) -> ExportError:
    """What to do where a package that only an export needs is not there."""
    return ExportError(
        f"Exporting needs the package {error.name}, which is not installed; "
        'run: pip install "pocketvideo[export]".'
    )


def _features(
    plan: Plan, source: _Source | PartsSource, cache: ExportCache
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The encoded prompts of a plan by their path in the bundle; a prompt is encoded once per model."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, text in plan.texts.items():
        key = source.key("features", text)
        entry = cache.component(key)
        if entry is None:
            entry = cache.store(key, partial(write_features, text=text, encode=source.encode))
        found[name] = entry
    return found


def _components(
    plan: Plan, source: _Source | PartsSource, cache: ExportCache, steps: _Steps, form: Form
) -> dict[str, tuple[Path, dict[str, Any]]]:
    check_form(form, plan.components, own=not isinstance(source, PartsSource))
    if isinstance(source, PartsSource):
        return source.components(plan.components, cache, steps, steps.foresee)
    code = source.code
    networks = [name for name in plan.components if name == FIRST_DENOISER or name in plan.relatives]
    shaped = {name: source.of(name).key(name, str(form)) for name in networks}
    keys = {name: source.of(name).key(name) for name in plan.components} | (shaped if form != USUAL else {})
    found = {name: cache.component(key) for name, key in keys.items()}
    missing = [name for name, entry in found.items() if entry is None]
    if missing:
        try:
            from .components import count_steps, export_component
        except ImportError as error:
            raise missing_package(error) from None
        models = {name: source.of(name).model for name in missing}
        steps.total += sum(count_steps(models[name], name) for name in missing)
        for name in missing:
            found[name] = cache.store(
                keys[name],
                partial(
                    export_component,
                    model=models[name],
                    name=name,
                    cache=cache,
                    code=code,
                    step=steps,
                    twin_of=_base(name, found),
                    form=form,
                ),
            )
    return {name: entry for name, entry in found.items() if entry is not None}


def _base(name: str, found: Mapping[str, tuple[Path, dict[str, Any]] | None]) -> tuple[Path, str] | None:
    """Where a twin finds its weights: folder and name of a component that comes before it in a plan."""
    base = TWIN_OF.get(name)
    entry = found[base] if base is not None else None
    return None if base is None or entry is None else (entry[0], base)


def _lowered(
    entries: dict[str, tuple[Path, dict[str, Any]]], precision: Precision, cache: ExportCache, steps: _Steps
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The components in the precision that is wanted, made from those in float32."""
    made = dict(entries)
    for name, (source, entry) in entries.items():
        base = TWIN_OF.get(name)
        wanted = precision.of(base or name)
        if wanted.level == FULL.level or in_pieces(name, entries):
            continue
        key = fingerprint([source.name, asdict(wanted)])
        found = cache.component(key)
        if found is None:
            from .precision_export import lower_component
            from .precision_twin import lower_twin

            fill = partial(
                lower_component, source=source, entry=entry, name=name, wanted=wanted, step=steps.extra
            )
            if base is not None:
                fill = partial(
                    lower_twin,
                    source=source,
                    entry=entry,
                    name=name,
                    weights=entries[base][0],
                    base=made[base][0],
                    base_entry=made[base][1],
                    step=steps.extra,
                )
            found = cache.store(key, fill)
        made[name] = found
    return made


def check_target(target: Path) -> None:
    """Raise `ExportError` for a folder that holds anything but a bundle."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ExportError(f"{target} is not a folder; name a new folder for the bundle.")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST_NAME).is_file():
        raise ExportError(f"The folder {target} holds other files; name a new folder for the bundle.")


def _empty(target: Path) -> None:
    """Make `target` an empty folder; refuses a folder that holds anything but a bundle."""
    check_target(target)
    if target.is_dir():
        shutil.rmtree(target)
    target.mkdir(parents=True, exist_ok=True)


def write_self_test(target: Path, folders: list[Path]) -> None:
    """One file of the self-tests of components, whose folders these are."""
    from safetensors.numpy import save_file

    tensors: dict[str, Any] = {}
    for folder in folders:
        tensors.update(open_tensors(folder / SELF_TEST))
    save_file(tensors, target / SELF_TEST)


def write_photo(source: PhotoSource, target: Path) -> None:
    """The photo as Load Image sees it, upright and RGB, as a PNG: devices decode JPEG differently."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, ExampleFrame):
        from ..training.data.example import example_frame

        Image.fromarray(example_frame(**asdict(source)).numpy()).save(target, format="PNG")
        return
    try:
        with Image.open(source) as image:
            if image.width * image.height > MAX_PHOTO_PIXELS:
                raise ExportError(
                    f"The photo {source.name} has {image.width} x {image.height} pixels, more than a device "
                    "takes; make it smaller."
                )
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ExportError(f"The photo {source.name} cannot be read ({error}); choose another.") from None
    upright.save(target, format="PNG", compress_level=6)


def _memory(plan: Plan, entries: Mapping[str, tuple[Path, dict[str, Any]]], target: Path) -> dict[str, int]:
    """Weights in all, the largest stage, and the peak of activations at the plan's size, in bytes.

    `target` holds the files of all components.
    """
    from .memory import component_peak

    lengths = [entry["component"].get("max_tokens", 1) for _, entry in entries.values()]
    lengths += [open_tensors(target / path)["mask"].shape[1] for path in plan.texts]
    sizes = plan_sizes(plan, max(lengths))
    return {
        "weights": sum(entry["memory"]["weights"] for _, entry in entries.values()),
        "largest_stage": max(entry["memory"]["largest_stage"] for _, entry in entries.values()),
        "activations_estimate": max(
            component_peak(target, entry["component"], at_once(plan, name, sizes), _indices(plan, name))
            for name, (_, entry) in entries.items()
        ),
    }


def _indices(plan: Plan, name: str) -> dict[str, tuple[int, ...]]:
    """Shapes of what a twin is told, which depends on the plan: which tokens merge."""
    for op in plan.ops:
        if op["op"] == "denoise" and op.get("merge", {}).get("component") == name:
            noise = next(other for other in plan.ops if other["op"] == "noise")
            given = op["first_frame"] is not None or op.get("keep_first_frame", False)
            arrays = MergeConfig.of(op["merge"]).arrays(noise["shape"][2:], given)
            return {key: value.shape for key, value in (arrays or {}).items()}
    return {}


def canonical(value: Any) -> str:
    """A JSON value as it is written into a bundle."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
