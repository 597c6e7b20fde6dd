"""One bridge per state folder: two that write the same list of devices would lose some."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from .errors import DeskError
from .folder import private_folder, read_json, write_json


class FolderLock:
    """Held by one process at a time, let go by the system when that process ends in any way."""

    def __init__(self, folder: Path, owner: str) -> None:
        """`owner` is what others are told to look for, as in `ComfyUI`."""
        self._folder, self._owner = folder, owner
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock; does nothing where it is held here already. Raises DeskError naming the holder."""
        if self._file is not None:
            return
        private_folder(self._folder)
        file = open(self._folder / "lock", "a+b")  # noqa: SIM115 - held until `release`
        if not _lock(file.fileno()):
            file.close()
            raise DeskError(
                f"{self._holder()} uses the folder {self._folder}: pair and send there, or turn its bridge "
                "off (sidebar PocketVideo, Settings) or end it, or name another folder with --state."
            )
        self._file = file
        write_json(self._folder / "owner.json", {"owner": self._owner, "process": os.getpid()})

    def release(self) -> None:
        """Let the lock go; does nothing where it is not held here."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _holder(self) -> str:
        told = read_json(self._folder / "owner.json")
        name, process = told.get("owner"), told.get("process")
        return f"{name} (process {process})" if name and process else "Another program"


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
