"""The command that turns a model into Core ML packages: `--model FILE --latent 4x12x12 --out DIR`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ..errors import ExportError, WorkflowError
from ..layout import HEADS, LAYOUTS, USUAL, parse_form
from .options import COMPONENTS, COMPRESSIONS, COMPUTE_UNITS, PRECISIONS, CoreMLOptions, Sizes, parse_rules


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo.pocketvideo.export.coreml",
        description="Export a model's networks as Core ML packages for iOS 18, one per stage. "
        "--precision, --compress and --units take VALUE, or PATTERN=VALUE for names such as "
        "denoiser/block_03; give them as often as needed, the last that matches wins.",
    )
    made.add_argument(
        "--model",
        required=True,
        help="model file (.safetensors) of PocketVideo, LTX-Video or Wan, or the name of an architecture "
        "with --random-weights",
    )
    made.add_argument(
        "--random-weights",
        action="store_true",
        help="the architecture's denoiser with random weights, to measure sizes and speed",
    )
    made.add_argument("--seed", type=int, default=0, help="with --random-weights: which random weights")
    made.add_argument("--out", type=Path, required=True, help="folder for the packages and coreml.json")
    made.add_argument(
        "--latent",
        required=True,
        metavar="SIZES",
        help="frames x height x width of the latent: one size 4x12x12, a list 4x12x12,7x12x16, or a range "
        "1x4x4..13x32x32",
    )
    made.add_argument("--batch", type=int, default=1, help="2 runs both halves of guidance at once")
    made.add_argument(
        "--components",
        nargs="+",
        choices=COMPONENTS,
        help="which networks (default: all that the file gives; the denoiser with --random-weights)",
    )
    made.add_argument("--precision", action="append", default=[], metavar="|".join(PRECISIONS))
    made.add_argument("--compress", action="append", default=[], metavar="|".join(COMPRESSIONS))
    made.add_argument(
        "--form",
        default=str(USUAL),
        metavar="LAYOUT,HEADS",
        help=f"of PocketVideo's denoiser: how tokens lie in memory ({', '.join(LAYOUTS)}) and heads are "
        f"computed ({', '.join(HEADS)}); default: %(default)s",
    )
    made.add_argument(
        "--units",
        action="append",
        default=[],
        metavar="|".join(COMPUTE_UNITS),
        help="hint for the app that loads a package (default: what fits its layers, precision and sizes)",
    )
    made.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "pocketvideo" / "exports",
        help="folder that keeps packages for the next time (default: %(default)s)",
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    args = parser().parse_args(arguments)
    if args.random_weights and args.components not in (None, ["denoiser"]):
        parser().error("with --random-weights there is only the denoiser")
    try:
        options = CoreMLOptions(
            Sizes.parse(args.latent, args.batch),
            precision=parse_rules(["float16", *args.precision]),
            compression=parse_rules(["none", *args.compress]),
            units=parse_rules(args.units),
        )
        index = _export(args, options)
    except (WorkflowError, ExportError, ValueError, OSError) as error:
        print(f"\r{error}", file=sys.stderr)
        return 1
    size = sum(size for _, size in index["files"].values())
    packages = sum(len(part["stages"]) for part in index["components"].values())
    print(f"{packages} packages, {size / 1e6:.1f} MB in {args.out}; parity {index['parity']}")
    return 0


def _export(args: argparse.Namespace, options: CoreMLOptions) -> dict:
    try:
        from ..layout_stages import shaped
        from .sources import file_parts
        from .writer import Part, export_coreml
    except ImportError as error:
        raise ExportError(
            f"A Core ML export needs the package {error.name}, which is not installed; "
            'run: pip install "pocketvideo[coreml]".'
        ) from None
    if args.random_weights:
        from ..random_weights import RANDOM_PRESETS

        if args.model not in RANDOM_PRESETS:
            names = ", ".join(sorted(RANDOM_PRESETS))
            raise ExportError(
                f"There is no architecture {args.model}; those with random weights are {names}."
            )
        preset = RANDOM_PRESETS[args.model]
        parts = [Part(preset.component(args.seed), preset.length, {}, {})]
    else:
        parts = file_parts(Path(args.model), args.components)
    form = parse_form(args.form)
    parts = [
        replace(part, component=shaped(part.component, form)) if part.component.kind == "denoiser" else part
        for part in parts
    ]
    return export_coreml(parts, args.out, options, cache_dir=args.cache, progress=_show)


def _show(done: int, total: int, words: str) -> None:
    filled = 24 * done // max(1, total)
    bar = "#" * filled + "." * (24 - filled)
    print(f"\r[{bar}] {words:<50.50}", end="\n" if done >= total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
