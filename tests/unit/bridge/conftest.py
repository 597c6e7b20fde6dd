"""A real bridge on loopback for each test, and devices paired with it through the agent's own code."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.handshake import Invitation, read_uri
from comfyui_pocketvideo.mobile_runtime.agent.home import Home, Pairing
from comfyui_pocketvideo.mobile_runtime.agent.pair import pair
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, JobResult, Limits
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge import tiny_bundle
from unit.bridge.client import Client, client_for
from unit.bridge.work import Pushes, take


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value of `condition`, which a background thread brings about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{condition} did not come true within {seconds} s")


class PairingThread(threading.Thread):
    """The device's side of one pairing, which blocks until the desk decides."""

    def __init__(self, home: Home, invitation: Invitation, name: str, same: bool = True) -> None:
        super().__init__()
        self.home, self.invitation, self.name_, self.same = home, invitation, name, same
        self.codes: list[str] = []
        self.asked: list[str] = []
        self.result: Pairing | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        def same_code(code: str) -> bool:
            self.asked.append(code)
            return self.same

        try:
            self.result = asyncio.run(
                pair(self.home, self.invitation, self.name_, self.codes.append, same_code)
            )
        except Exception as error:
            self.error = error

    def finish(self) -> Pairing:
        """The pairing, or the error that ended it."""
        self.join(30)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


def pair_device(bridge: Bridge, folder: Path, name: str = "Test device") -> Pairing:
    """Pair a device through the whole protocol and confirm it."""
    thread = PairingThread(Home(folder), read_uri(bridge.begin_pairing().uri), name)
    thread.start()
    bridge.confirm(wait_for(bridge.pending)[0].device_id)
    return thread.finish()


@pytest.fixture
def limits() -> Limits:
    """Bounds of the test's bridge; a test may override this fixture."""
    return Limits()


@pytest.fixture
def bridge(tmp_path: Path, limits: Limits) -> Iterator[Bridge]:
    """A running bridge with a state folder of its own."""
    bridge = Bridge(tmp_path / "desk", desk_name="Test desk", limits=limits)
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture
def pairing(bridge: Bridge, tmp_path: Path) -> Pairing:
    """A confirmed device."""
    return pair_device(bridge, tmp_path / "device")


@pytest.fixture
def client(pairing: Pairing) -> Client:
    """The confirmed device's client."""
    return client_for(pairing)


@pytest.fixture
def stranger(pairing: Pairing) -> Client:
    """Somebody on the network who trusts the desk's certificate and has no token."""
    return Client(pairing.host, pairing.port, client_for(pairing).context)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle.build(tmp_path / "bundle", ballast=(100_000,))


@pytest.fixture
def pushes(bridge: Bridge) -> Iterator[Pushes]:
    pushes = Pushes(bridge)
    yield pushes
    pushes.cancel.set()
    pushes.pool.shutdown()


@pytest.fixture
def running(pushes: Pushes, client: Client, bundle: Bundle) -> tuple[Future[JobResult], str]:
    """A job that the device has taken: its future and its address."""
    future = pushes.start(None, bundle)
    return future, f"/v1/jobs/{take(client)['job_id']}"
