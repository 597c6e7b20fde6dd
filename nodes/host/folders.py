"""Where model files lie, and what a widget's text may reach there (T7)."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...desk.names import PathError, checked_relative, inside

FOLDER = "pocketvideo"
EXTENSION = ".safetensors"
PACK_MODELS = Path(__file__).resolve().parents[2] / "models" / FOLDER


def register_model_folder() -> None:
    """Tell ComfyUI about `models/pocketvideo`: the user's own first, then the pack's."""
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
        if path.is_file() and inside(path, Path(folder)):
            return path
    raise PathError(
        f"There is no model file '{name}' in models/{FOLDER}: put it there, or choose one from the list."
    )


def loader_path(kind: str, name: str) -> Path:
    """A file that one of ComfyUI's own loaders loads, by its name in the list. Raises PathError."""
    relative = checked_relative(name)
    for folder in folder_paths.get_folder_paths(kind):
        path = Path(folder) / relative
        if path.is_file() and inside(path, Path(folder)):
            return path
    raise PathError(f"There is no file '{name}' in models/{kind}: put it there, or choose one from the list.")


def t5_tokenizer() -> Path | None:
    """The tokenizer that ComfyUI ships for T5, where this ComfyUI has it."""
    import comfy.text_encoders

    for folder in comfy.text_encoders.__path__:
        path = Path(folder) / "t5_tokenizer" / "tokenizer.json"
        if path.is_file():
            return path
    return None


def input_image_path(name: str) -> Path:
    """The file behind Load Image's widget, which may end in ` [output]` or ` [temp]`. Raises PathError."""
    plain, named_folder = folder_paths.annotated_filepath(name)
    folder = Path(named_folder or folder_paths.get_input_directory())
    path = folder / checked_relative(plain)
    if not path.is_file() or not inside(path, folder):
        raise PathError(f"There is no image '{name}' in ComfyUI's folders: upload it in the Load Image node.")
    return path


def output_place(
    prefix: str, width: int = 0, height: int = 0, *, extension: str = ".mp4"
) -> tuple[Path, str]:
    """The next free name for a prefix, and its subfolder in ComfyUI's output folder. Raises PathError.

    `%width%`, `%date:...%` and the like mean what they do in Save Video.
    """
    output = folder_paths.get_output_directory()
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    except Exception as error:  # the host raises a bare one
        raise PathError(
            f"{prefix!r:.200} cannot be a place in ComfyUI's output folder: use a name such as video/device."
        ) from error
    path = Path(folder) / f"{name}_{counter:05}_{extension}"
    if not name.isprintable() or not inside(path, Path(output)):
        raise PathError(
            f"{prefix!r:.200} leads out of ComfyUI's output folder: use a name such as video/device."
        )
    return path, subfolder


def download_folder() -> Path:
    """Where a download on request goes: the first of the model folders."""
    return Path(folder_paths.get_folder_paths(FOLDER)[0])
