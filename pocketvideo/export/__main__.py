"""The command that turns a workflow into a bundle folder: `--workflow X --model Y --out DIR`."""

import argparse
import sys
from pathlib import Path

from .bundling import export_bundle
from .compiler import compile_workflow
from .errors import ExportError, WorkflowError
from .modelfile import read_geometry
from .plan import Geometry
from .prompt import MAX_PROMPT_BYTES, parse_prompt


class FolderLookups:
    """One model file, whatever the workflow calls it, and photos by name from one folder."""

    def __init__(self, model: Path, photos: Path) -> None:
        self._model, self._photos = model, photos.resolve()

    def model(self, name: str) -> Geometry:
        """The geometry of the one model."""
        return read_geometry(self._model)

    def image(self, name: str) -> Path:
        """A file directly or deeper inside the photo folder, and nowhere else."""
        path = (self._photos / name).resolve()
        if not path.is_relative_to(self._photos) or not path.is_file():
            raise WorkflowError(
                f"There is no image {name} in {self._photos.name}; put it there or name another folder."
            )
        return path


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo.pocketvideo.export",
        description="Compile a ComfyUI workflow (API format) and export it with its model for a device.",
    )
    made.add_argument("--workflow", type=Path, required=True, help="JSON file in API format")
    made.add_argument("--model", type=Path, required=True, help="PocketVideo model file (.safetensors)")
    made.add_argument(
        "--out", type=Path, required=True, help="folder for the bundle; an old bundle in it is replaced"
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
    try:
        with args.workflow.open("rb") as file:
            prompt = parse_prompt(file.read(MAX_PROMPT_BYTES + 1))
        plan = compile_workflow(
            prompt, args.output_node, FolderLookups(args.model, args.photos or args.workflow.parent)
        )
        bundle = export_bundle(plan, args.model, args.out, cache_dir=args.cache, progress=_show)
    except (WorkflowError, ExportError, OSError) as error:
        print(f"\r{error}", file=sys.stderr)
        return 1
    size = sum(entry["bytes"] for entry in bundle.files.values())
    print(f"bundle {bundle.id}: {len(bundle.files)} files, {size / 1e6:.1f} MB in {args.out}")
    return 0


def _show(done: int, total: int, words: str) -> None:
    filled = 24 * done // max(1, total)
    bar = "#" * filled + "." * (24 - filled)
    print(f"\r[{bar}] {words:<50.50}", end="\n" if done >= total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
