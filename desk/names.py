"""Names that come from widgets, so from strangers' workflows, as relative paths (T7)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath


class PathError(ValueError):
    """A name that leads out of its folder, or to nothing."""


def checked_relative(name: str) -> Path:
    """A name as a relative path of plain parts. Raises PathError for anything that could lead elsewhere."""
    text = name.replace("\\", "/")
    parts = text.split("/")
    plain = all(part not in ("", ".", "..") and not part.endswith((" ", ".")) for part in parts)
    printable = bool(name) and name.isprintable() and len(name) <= 1024
    rooted = PurePosixPath(text).is_absolute() or bool(PureWindowsPath(text).drive) or ":" in text
    if not plain or not printable or rooted:
        raise PathError(f"{name!r:.200} is not the name of a file in this folder: choose one from the list.")
    return Path(*parts)


def inside(path: Path, folder: Path) -> bool:
    """Whether a path, followed through all links, lies in a folder.

    The folder itself may be a link (people keep models on another disk); what lies in it may not lead out.
    """
    return path.resolve().is_relative_to(folder.resolve())
