"""Progress bars for the demo's long stages, and the seconds that each of a prompt's nodes took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from host.events import Event

NOTE_WIDTH = 40


class Bar:
    """One stage's bar. Where nobody watches a terminal, a stage is one line when it ends."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._started = time.monotonic()
        self.seconds = 0.0

    def set(self, done: float) -> None:
        """Move the bar to `done` of the stage's total."""
        self._progress.update(self._task, completed=done)

    def note(self, text: str) -> None:
        """Say what is being done now, beside the bar."""
        self._progress.update(self._task, note=text[:NOTE_WIDTH])

    def tick(self, _waited: float) -> None:
        """Move a bar of time, which waits at 95% of the usual duration."""
        total = self._progress.tasks[self._task].total or 1.0
        self.set(min(0.95 * total, time.monotonic() - self._started))

    def finish(self) -> None:
        self.seconds = time.monotonic() - self._started
        task = self._progress.tasks[self._task]
        self._progress.update(self._task, completed=task.total, note="")


class Stages:
    """All bars of a run, under each other."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<36}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Stages:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def counted(self, title: str, total: float) -> Iterator[Bar]:
        """A stage whose progress is known."""
        bar = Bar(self._progress, self._progress.add_task(title, total=total, note=""))
        if not self._console.is_terminal:
            self._console.print(f"{title} ...")
        yield bar
        bar.finish()
        if not self._console.is_terminal:
            self._console.print(f"{title}: {bar.seconds:.1f} s")

    def timed(self, title: str, usual_seconds: float) -> Any:
        """A stage of which only the usual duration is known."""
        return self.counted(title, usual_seconds)


class StageTimes:
    """Seconds by stage, from the host's events about which node it executes."""

    def __init__(self, prompt: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._stage_of = {
            node_id: names[node["class_type"]]
            for node_id, node in prompt.items()
            if node["class_type"] in names
        }
        self._current: str | None = None
        self._since = 0.0
        self.seconds: dict[str, float] = {}

    def see(self, event: Event) -> None:
        """Take note of an event as it arrives."""
        if event.type not in ("executing", "execution_success"):
            return
        now = time.monotonic()
        if self._current is not None:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        node = event.data.get("node") if event.type == "executing" else None
        self._current = self._stage_of.get(str(node)) if node is not None else None
        self._since = now
