"""Where model files lie, and what a widget's text may reach there (T7)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import folder_paths

FOLDER = "pocketvideo"
EXTENSION = ".safetensors"
PACK_MODELS = Path(__file__).resolve().parents[2] / "models" / FOLDER


class PathError(ValueError):
    """A name that leads out of its folder, or to nothing."""


def register_model_folder() -> None:
    """Tell ComfyUI about `models/pocketvideo`: the user's own first, then the one that comes with the pack."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))
    folder_paths.add_model_folder_path(FOLDER, str(PACK_MODELS))
    paths, _ = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, {EXTENSION})


def model_names() -> list[str]:
    """The model files that a user can choose from."""
    return [str(name) for name in folder_paths.get_filename_list(FOLDER)]


def model_path(name: str) -> Path:
    """The file of a model by its name in the list. Raises PathError."""
    relative = checked_relative(name)
    for folder in folder_paths.get_folder_paths(FOLDER):
        path = Path(folder) / relative
        if path.is_file() and _inside(path, Path(folder)):
            return path
    raise PathError(
        f"There is no model file '{name}' in models/{FOLDER}: put it there, or choose one from the list."
    )


def input_image_path(name: str) -> Path:
    """The file behind Load Image's widget, in ComfyUI's input folder. Raises PathError."""
    relative = checked_relative(name)
    folder = Path(folder_paths.get_input_directory())
    path = folder / relative
    if not path.is_file() or not _inside(path, folder):
        raise PathError(
            f"There is no image '{name}' in ComfyUI's input folder: upload it in the Load Image node."
        )
    return path


def download_folder() -> Path:
    """Where a download on request goes: the first of the model folders."""
    return Path(folder_paths.get_folder_paths(FOLDER)[0])


def checked_relative(name: str) -> Path:
    """A name as a relative path of plain parts. Raises PathError for anything that could lead elsewhere."""
    text = name.replace("\\", "/")
    parts = text.split("/")
    plain = all(part not in ("", ".", "..") and not part.endswith((" ", ".")) for part in parts)
    printable = bool(name) and name.isprintable() and len(name) <= 1024
    rooted = PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive or ":" in text
    if not plain or not printable or rooted:
        raise PathError(f"{name!r:.200} is not the name of a file in this folder: choose one from the list.")
    return Path(*parts)


def _inside(path: Path, folder: Path) -> bool:
    # The folder itself may be a link (people keep models on another disk); what lies in it may not lead out.
    return path.resolve().is_relative_to(folder.resolve())
