"""A bridge with a bandwidth that tests can set, and the agent as a real process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Home, Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, JobEvent, JobResult, Limits
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, Store

from unit.bridge.conftest import pair_device


@dataclass
class Workplace:
    """A desk and a device on this machine; `agent` starts the device's process, `push` a job in a thread."""

    bridge: Bridge
    home: Home
    pairing: Pairing
    pool: ThreadPoolExecutor
    events: list[JobEvent] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def agent(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "comfyui_pocketvideo.mobile_runtime.agent"]
        process = subprocess.Popen(
            [*command, "--home", str(self.home.folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def push(self, bundle: Bundle, values: dict[str, Any] | None = None) -> Future[JobResult]:
        return self.pool.submit(
            self.bridge.push,
            self.pairing.device_id,
            bundle,
            values or {},
            self.events.append,
            self.cancel.is_set,
            connect_seconds=60,
        )

    def sent(self) -> int:
        return sum(self.bridge.bytes_sent(self.pairing.device_id).values())

    def open_transfers(self) -> int:
        core = self.bridge._core
        assert core is not None
        return core.traffic.open_transfers[self.pairing.device_id]

    def limit(self, bandwidth: float | None) -> None:
        """Set the bytes per second of each transfer, for those that begin from now on."""
        core = self.bridge._core
        assert core is not None
        core.limits = Limits(bandwidth=bandwidth)


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    bridge = Bridge(tmp_path / "desk", desk_name="Test desk")
    bridge.start()
    home = Home(tmp_path / "device")
    place = Workplace(bridge, home, pair_device(bridge, home.folder), ThreadPoolExecutor(4))
    yield place
    place.cancel.set()
    for process in place.processes:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)
    place.pool.shutdown()
    bridge.stop()
