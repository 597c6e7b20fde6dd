"""Runs mypy over the pack under the package name that its imports use: `python tools/typecheck.py [ROOM]`.

The repository root is the package, whatever the folder is called, and ComfyUI's convention gives it a dash.
So mypy is pointed at a link of the right name instead of at the folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "comfyui_pocketvideo"
ROOMS = ("nodes", "cli", "desk", "pocketvideo", "mobile_runtime")
# Helpers of tests, demo and set-up: modules of their own, outside the package.
HELPER_ROOTS = ("tests", "tools")


def main(rooms: list[str]) -> int:
    links = REPOSITORY / ".cache" / "typing"
    links.mkdir(parents=True, exist_ok=True)
    link = links / PACKAGE
    if not link.exists():
        link.symlink_to(REPOSITORY, target_is_directory=True)
    code = check(links, *(f"-p{PACKAGE}.{room.strip('/').replace('/', '.')}" for room in rooms or ROOMS))
    if not rooms:
        tools = [f"-m{path.stem}" for path in sorted((REPOSITORY / "tools").glob("*.py"))]
        search = os.pathsep.join([str(links), *(str(REPOSITORY / root) for root in HELPER_ROOTS)])
        code |= check(search, "-phost", "-pdemo", *tools)
    return code


def check(search: Path | str, *targets: str) -> int:
    command = [sys.executable, "-m", "mypy", *targets]
    return subprocess.run(command, cwd=REPOSITORY, env={**os.environ, "MYPYPATH": str(search)}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
