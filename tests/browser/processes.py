"""The processes of one browser, told by the folder of its profile, and the memory that its pages take."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page

# A measurement of memory collects garbage at once instead of waiting for the browser to do so.
EAGER_GARBAGE = "--enable-blink-features=ForceEagerMeasureMemory"


class Process(NamedTuple):
    pid: int
    parent: int
    command: list[str]


def processes(profile: Path, kind: str) -> list[Process]:
    """The processes of the browser with this profile of a kind, such as `renderer` or `gpu-process`."""
    running = {process.pid: process for process in _all()}
    mine = {one.pid for one in running.values() if f"--user-data-dir={profile}" in one.command}
    found = []
    for process in running.values():
        ancestors, pid = set(), process.parent
        while pid in running and pid not in ancestors:
            ancestors.add(pid)
            pid = running[pid].parent
        if f"--type={kind}" in process.command and ancestors & mine:
            found.append(process)
    return found


def kill(profile: Path, kind: str) -> None:
    """End all of a kind at once, as a system or a driver does."""
    for process in processes(profile, kind):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def peak_bytes(profile: Path) -> int:
    """The highest resident memory so far of the page that takes most, as Linux counts it."""
    return max(_status(process.pid, "VmHWM") for process in processes(profile, "renderer"))


def resident_bytes(profile: Path) -> int:
    """The resident memory of the page that takes most."""
    return max(_status(process.pid, "VmRSS") for process in processes(profile, "renderer"))


def workers(profile: Path) -> int:
    """How many workers of pages run; one that was ended counts until it is gone."""
    found = 0
    for process in processes(profile, "renderer"):
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            # A thread may end while it is looked at.
            with contextlib.suppress(OSError):
                found += (thread / "comm").read_text().startswith("DedicatedWorker")
    return found


def collect_garbage(page: Page) -> None:
    """Have JavaScript's garbage collected, in the page and in all its workers; needs EAGER_GARBAGE.

    Not while a worker comes to its end: Chromium would answer neither this nor any later time.
    """
    page.evaluate("performance.measureUserAgentSpecificMemory().then(() => {})")


def _all() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").split(" ")
            yield Process(int(folder.name), parent, command)


def _status(pid: int, field: str) -> int:
    """Bytes that /proc tells of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1]) * 1024
