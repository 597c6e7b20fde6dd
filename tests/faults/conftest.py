"""Real processes on both sides of a network that tests can spoil, and what must hold whatever happened."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Home, Pairing
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, Store

from faults.proxy import ADDRESS, Proxy
from unit.bridge import tiny_bundle

HERE = Path(__file__).resolve().parent
AGENT = [sys.executable, "-m", "comfyui_pocketvideo.mobile_runtime.agent"]
BALLAST = (9_000_000, 5_000_001, 7_000_000, 3_000_000, 65_537, 2_500_000)


def until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """The first true value of `condition`, which other processes bring about."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{condition} did not come true within {seconds} s")
        time.sleep(0.01)
    return value


class Desk:
    """A desk process; `ask` returns its answer, `begin` a future of it."""

    def __init__(self, state: Path, prefix: Sequence[str] = (), host: str = "127.0.0.1") -> None:
        self._numbers = iter(range(1, 10**6))
        self._waiting: dict[int, Future[dict[str, Any]]] = {0: Future()}
        started = self._waiting[0]
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "desk_process.py"), str(state), host, ADDRESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.address: str = started.result(60)["address"]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def begin(self, do: str, **fields: Any) -> Future[dict[str, Any]]:
        number = next(self._numbers)
        future = self._waiting[number] = Future()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": number, "do": do, **fields}) + "\n")
        self.process.stdin.flush()
        return future

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        answer = self.begin(do, **fields).result(90)
        assert "error" not in answer, answer
        return answer

    def sent(self, device_id: str) -> int:
        return int(self.ask("sent", device_id=device_id)["sent"])

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait(20)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).set_result(answer)
        for future in self._waiting.values():
            future.cancel()


class Agent:
    """An agent process and what it said."""

    def __init__(
        self, home: Home, *arguments: str, prefix: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [*prefix, *AGENT, "--home", str(home.folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def end(self) -> int:
        """Its exit status, when it ends by itself."""
        status = self.process.wait(90)
        self._reading.join(10)
        return status

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)


class Scene:
    """Makes desks, agents and proxies, and ends them all; each test has its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "device")
        self._ends: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def desk(self, name: str = "desk", **options: Any) -> Desk:
        desk = Desk(self.folder / name, **options)
        self._ends.put(desk.kill)
        return desk

    def agent(self, *arguments: str, **options: Any) -> Agent:
        agent = Agent(options.pop("home", self.home), *arguments, **options)
        self._ends.put(agent.kill)
        return agent

    def proxy(self, desk: Desk, rate: float | None = None) -> Proxy:
        host, _, port = desk.address.rpartition(":")
        proxy = Proxy((host, int(port)), rate)
        self._ends.put(proxy.close)
        return proxy

    def pair(self, desk: Desk, *, through_proxy: bool = False) -> Pairing:
        """Pair the device through its own command."""
        agent = self.agent("pair", "-")
        agent.say(desk.ask("offer")["uri"])
        device_id = desk.ask("confirm")["device_id"]
        assert agent.end() == 0, agent.said
        pairing = next(item for item in self.home.pairings() if item.device_id == device_id)
        if through_proxy:
            pairing = replace(pairing, host=ADDRESS)
            self.home.add(pairing)
        return pairing

    def close(self) -> None:
        while not self._ends.empty():
            self._ends.get()()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """27 MB in files of several sizes, so that most kills hit the middle of one."""
    return tiny_bundle.build(tmp_path_factory.mktemp("bundle") / "bundle", ballast=BALLAST)


def total(*bundles: Bundle) -> int:
    """Bytes of the bundles' files, each content once."""
    return sum({e["sha256"]: e["bytes"] for b in bundles for e in b.files.values()}.values())


def missing(store: Store, *bundles: Bundle) -> int:
    """Bytes of the bundles' files that are not on the device yet."""
    entries = {entry["sha256"]: entry for bundle in bundles for entry in bundle.files.values()}
    return sum(entry["bytes"] - store.resume_offset(entry) for entry in entries.values())


def check_half_way(store: Store, *bundles: Bundle) -> None:
    """Nothing is half installed: whole files are right, and half ones are beginnings of the right ones."""
    known = {e["sha256"]: (b, name) for b in bundles for name, e in b.files.items()}
    for path in store.root.glob("blobs/*/*"):
        bundle, name = known[path.name.removesuffix(".part")]
        data = path.read_bytes()
        if path.suffix == ".part":
            assert bundle.read(name)[: len(data)] == data, name
        else:
            assert hashlib.sha256(data).hexdigest() == path.name, name
    for identity in store.bundles():
        store.open(identity).verify()


def check_installed(store: Store, *bundles: Bundle) -> None:
    """Everything is there and right, and no leftovers."""
    for bundle in bundles:
        store.open(bundle.id).verify()
    assert not list(store.root.glob("blobs/*/*.part"))
    check_half_way(store, *bundles)
