"""The golden vectors are what this torch and this ComfyUI give: whoever passes them passes the host."""

from __future__ import annotations

import subprocess
from pathlib import Path

from host.server import locate

GENERATE = Path(__file__).resolve().parents[1] / "vectors" / "generate.py"


def test_the_golden_vectors_are_the_hosts() -> None:
    paths = locate()
    done = subprocess.run(
        [str(paths.python), str(GENERATE), "--comfyui", str(paths.comfyui), "--check"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
