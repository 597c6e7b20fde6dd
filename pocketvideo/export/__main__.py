"""The command that makes a bundle folder, from a workflow or from an architecture without weights.

`--workflow X --model FILE --out DIR`, or `--model PRESET --random-weights --out DIR`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ...mobile_runtime.bundle import Bundle, BundleError
from .bundling import export_bundle
from .compiler import compile_workflow
from .dry_run import DeviceLimits, plan_only
from .dry_run import describe as describe_plan
from .editor import to_prompt
from .editor_graph import is_editor_format
from .errors import ExportError, WorkflowError
from .fixed_prompts import EDITABLE, PROMPTS
from .layout import HEADS, LAYOUTS, USUAL, parse_form
from .modelfile import file_of, read_geometry
from .plan import Geometry, Plan
from .precision import AUTO, LEVELS, describe, parse_precision
from .prompt import MAX_PROMPT_BYTES, parse_prompt


class FolderLookups:
    """One model file, whatever the workflow calls it, and photos by name from one folder.

    With `beside`, for a workflow of several models, they are looked up by their names beside the one.
    """

    def __init__(
        self, model: Path | None, photos: Path, comfyui: Path | None = None, *, beside: bool = False
    ) -> None:
        self._model, self._photos, self._comfyui = model, photos.resolve(), comfyui
        self._beside = beside

    def model(self, name: str) -> Geometry:
        """The geometry of the model."""
        if self._model is None:
            raise WorkflowError(
                f"The workflow loads the PocketVideo model {name}; name its file with --model."
            )
        return read_geometry(self._model.with_name(file_of(name)) if self._beside else self._model)

    def file(self, kind: str, name: str) -> Path:
        """A file in ComfyUI's models folder of this kind, and nowhere else."""
        if self._comfyui is None:
            raise WorkflowError(f"The workflow loads {name} from models/{kind}; name ComfyUI with --comfyui.")
        folder = (self._comfyui / "models" / kind).resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise WorkflowError(f"There is no file {name} in models/{kind}; put it there.")
        return path

    def tokenizer(self, family: str) -> Path | None:
        """T5's tokenizer in ComfyUI's sources, where they were named."""
        if self._comfyui is None or family != "ltxv":
            return None
        return self._comfyui / "comfy" / "text_encoders" / "t5_tokenizer" / "tokenizer.json"

    def image(self, name: str) -> Path:
        """A file directly or deeper inside the photo folder, and nowhere else."""
        path = (self._photos / name).resolve()
        if not path.is_relative_to(self._photos) or not path.is_file():
            raise WorkflowError(
                f"There is no image {name} in {self._photos.name}; put it there or name another folder."
            )
        return path


def size_in_bytes(text: str) -> int:
    """`1.5GB` in bytes, for the command line."""
    for ending, unit in (("KB", 10**3), ("MB", 10**6), ("GB", 10**9), ("", 1)):
        number = text.upper().removesuffix(ending)
        if ending in text.upper() and number.replace(".", "", 1).isdecimal():
            return int(float(number) * unit)
    raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 300MB or 1.5GB")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo.pocketvideo.export",
        description="Compile a ComfyUI workflow and export it with its model for a device.",
    )
    made.add_argument("--workflow", type=Path, help="JSON file that ComfyUI saved, in either format")
    made.add_argument(
        "--model",
        help="PocketVideo model file (.safetensors), with others that the workflow loads beside it, or the "
        "name of an architecture with --random-weights",
    )
    made.add_argument(
        "--comfyui",
        type=Path,
        help="ComfyUI's folder, for workflows of its own loaders: where models/ and tokenizers are",
    )
    made.add_argument(
        "--random-weights",
        action="store_true",
        help="no workflow: the architecture's denoiser with random weights, to measure sizes and speed",
    )
    made.add_argument(
        "--clip",
        type=int,
        nargs=3,
        default=(17, 256, 448),
        metavar=("FRAMES", "HEIGHT", "WIDTH"),
        help="with --random-weights: the video that the memory estimate is for (default: 17 256 448)",
    )
    made.add_argument("--seed", type=int, default=0, help="with --random-weights: which random weights")
    made.add_argument(
        "--precision",
        default="fp32",
        metavar="[COMPONENT=]LEVEL[:DB],...",
        help=f"how weights are stored: {', '.join((*LEVELS, AUTO))}; for one component as in denoiser=int8, "
        "with the PSNR in dB to reach as in denoiser=auto:42 (default: %(default)s)",
    )
    made.add_argument(
        "--form",
        default=str(USUAL),
        metavar="LAYOUT,HEADS",
        help=f"how the denoiser's tokens lie in memory ({', '.join(LAYOUTS)}) and its heads are computed "
        f"({', '.join(HEADS)}); default: %(default)s",
    )
    made.add_argument(
        "--flat-convolutions",
        action="store_true",
        help="for devices without 3-D convolutions: take them apart to 2-D ones; weights stay the same",
    )
    made.add_argument(
        "--prompts",
        choices=PROMPTS,
        default=EDITABLE,
        help="with fixed the prompts leave this machine encoded and the text encoder stays here "
        "(default: %(default)s)",
    )
    made.add_argument(
        "--decoder",
        type=Path,
        metavar="FILE",
        help="a Turbo-VAED (.safetensors) that decodes on the device in the place of LTX-Video's own decoder",
    )
    made.add_argument("--out", type=Path, help="folder for the bundle; an old bundle in it is replaced")
    made.add_argument(
        "--plan-only",
        action="store_true",
        help="export nothing: say what the bundle would hold, send and need",
    )
    made.add_argument("--json", action="store_true", help="with --plan-only: as JSON")
    made.add_argument(
        "--device-memory", type=size_in_bytes, metavar="SIZE", help="with --plan-only: as 1.5GB; what fits?"
    )
    made.add_argument(
        "--device-storage",
        type=size_in_bytes,
        metavar="SIZE",
        help="with --plan-only: what the device has free",
    )
    made.add_argument(
        "--device-bundle",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="with --plan-only: a bundle that the device has already, whose files are not sent again",
    )
    made.add_argument("--output-node", help="id of the node to end in, where the workflow has several")
    made.add_argument(
        "--photos", type=Path, help="folder of the workflow's images (default: beside the workflow)"
    )
    made.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "pocketvideo" / "exports",
        help="folder that keeps exports for the next time (default: %(default)s)",
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    args = parser().parse_args(arguments)
    if args.plan_only == (args.out is not None) or (args.plan_only and args.random_weights):
        parser().error("give either --out, or --plan-only with a workflow")
    if args.random_weights and args.flat_convolutions:
        parser().error("--flat-convolutions is for workflows; the presets have no 3-D convolutions")
    if args.random_weights and args.decoder is not None:
        parser().error("--decoder is for workflows; the presets are denoisers alone")
    if args.random_weights == (args.workflow is not None):
        parser().error("give either --workflow with a model file, or --random-weights with a preset's name")
    if args.model is None and (args.random_weights or args.comfyui is None):
        parser().error("give --model, or --comfyui for a workflow of ComfyUI's own loaders")
    try:
        if args.plan_only:
            return _plan_only(args)
        bundle = _random(args) if args.random_weights else _workflow(args)
    except (WorkflowError, ExportError, BundleError, OSError) as error:
        print(f"\r{error}", file=sys.stderr)
        return 1
    size = sum(entry["bytes"] for entry in bundle.files.values())
    for name, component in bundle.manifest["components"].items():
        levels = [stage["precision"] for stage in component["stages"] if "precision" in stage]
        if levels:
            bar = bundle.manifest["self_test"]["components"][name]["min_psnr"]
            print(f"{name}: {describe(levels)}; a device has to reach {bar:.0f} dB")
    print(f"bundle {bundle.id}: {len(bundle.files)} files, {size / 1e6:.1f} MB in {args.out}")
    return 0


def _random(args: argparse.Namespace) -> Bundle:
    from .random_bundle import export_random

    return export_random(
        args.model,
        args.out,
        cache_dir=args.cache,
        clip=tuple(args.clip),
        seed=args.seed,
        precision=parse_precision(args.precision),
        form=parse_form(args.form),
        progress=_show,
    )


def _compiled(args: argparse.Namespace) -> tuple[Plan, Path | None]:
    model = Path(args.model) if args.model else None
    with args.workflow.open("rb") as file:
        prompt = parse_prompt(file.read(MAX_PROMPT_BYTES + 1))
    several = len(_models_of(prompt)) > 1
    lookups = FolderLookups(model, args.photos or args.workflow.parent, args.comfyui, beside=several)
    plan = compile_workflow(prompt, args.output_node, lookups)
    return plan, model.with_name(file_of(plan.model_name)) if model is not None and several else model


def _models_of(prompt: Any) -> set[str]:
    """The names of the PocketVideo models that a workflow loads."""
    flat = to_prompt(prompt) if is_editor_format(prompt) else prompt
    nodes = [node for node in flat.values() if isinstance(node, dict)] if isinstance(flat, dict) else []
    loaders = [node.get("inputs") for node in nodes if node.get("class_type") == "PocketVideoModelLoader"]
    return {str(inputs.get("model_name")) for inputs in loaders if isinstance(inputs, dict)}


def _workflow(args: argparse.Namespace) -> Bundle:
    plan, model = _compiled(args)
    return export_bundle(
        plan,
        model,
        args.out,
        cache_dir=args.cache,
        precision=parse_precision(args.precision),
        form=parse_form(args.form),
        prompts=args.prompts,
        decoder=args.decoder,
        flat_convolutions=args.flat_convolutions,
        progress=_show,
    )


def _plan_only(args: argparse.Namespace) -> int:
    plan, model = _compiled(args)
    held = {entry["sha256"] for folder in args.device_bundle for entry in Bundle.open(folder).files.values()}
    report = plan_only(
        plan,
        model,
        cache_dir=args.cache,
        prompts=args.prompts,
        decoder=args.decoder,
        precision=parse_precision(args.precision),
        form=parse_form(args.form),
        flat_convolutions=args.flat_convolutions,
        held=held,
        limits=DeviceLimits(args.device_memory, args.device_storage),
    )
    print(json.dumps(report, indent=1) if args.json else describe_plan(report))
    return 2 if report["problems"] else 0


def _show(done: int, total: int, words: str) -> None:
    filled = 24 * done // max(1, total)
    bar = "#" * filled + "." * (24 - filled)
    print(f"\r[{bar}] {words:<50.50}", end="\n" if done >= total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
