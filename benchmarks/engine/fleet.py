"""Several workers at once, of which one computes at a time: so ways are compared in the same minutes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

WORKER = Path(__file__).with_name("worker.py")


class WorkerError(Exception):
    """A worker ended or told of an error."""


@dataclass
class Worker:
    """A way to run the network, in a process of its own; `peak` is the system's count of it, in bytes."""

    name: str
    process: subprocess.Popen[str]
    rounds: list[list[float]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    digests: set[str] = field(default_factory=set)
    peak: int = 0

    def step(self, count: int) -> list[float]:
        """Run steps; their seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        told = self.listen()
        self.report = told["report"]
        self.digests.add(told["digest"])
        seconds: list[float] = told["seconds"]
        return seconds

    def listen(self) -> dict[str, Any]:
        """The worker's next answer. Raises WorkerError."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        told = json.loads(line) if line else {"error": f"ended with status {self.process.wait()}"}
        if "error" in told:
            raise WorkerError(f"{self.name}: {told['error']}")
        # The engine makes the system forget peaks, so each one is noted; it does so before it measures.
        noted = told.get("report", {}).get("peak_rss_bytes") or 0
        self.peak = max(self.peak, noted, high_water(self.process.pid))
        return dict(told)


def high_water(pid: int) -> int:
    """A process's peak of resident memory as Linux counts it, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


class Fleet:
    """Starts workers and lets them run in rounds."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.workers: dict[str, Worker] = {}

    def start(self, name: str, spec: dict[str, Any], warm: int) -> Worker:
        """Start a worker and let it run `warm` steps that do not count."""
        path = self._folder / f"worker-{len(self.workers)}.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        process = self._stack.enter_context(_process([sys.executable, str(WORKER), str(path)]))
        worker = self.workers[name] = Worker(name, process)
        worker.listen()
        worker.step(warm)
        return worker

    def run(self, rounds: int, steps: int) -> None:
        """Each round every worker runs `steps` steps, in a new order."""
        draw = random.Random(0)
        with tqdm(total=rounds * len(self.workers), desc="rounds of workers") as bar:
            for _ in range(rounds):
                for worker in draw.sample(list(self.workers.values()), len(self.workers)):
                    bar.set_postfix_str(worker.name)
                    worker.rounds.append(worker.step(steps))
                    bar.update()


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
