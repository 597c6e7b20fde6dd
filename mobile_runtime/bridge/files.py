"""Files of the bridge's state folder: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Create `folder` (and parents) so that only its owner may enter it."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` by `data` atomically with mode 0600: a crash leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
