"""The bench's hold on its desk process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class BenchDesk:
    """A desk process, as a context manager; `tell` a command, `hear` the next answer."""

    def __init__(self, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "desk_process.py"), str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, **command: Any) -> None:
        """Give a command of `desk_process`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """The next answer; SystemExit when the desk has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The bench's desk ended; see its words above.")
        return dict(json.loads(line))

    def __enter__(self) -> BenchDesk:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
