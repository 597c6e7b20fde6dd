"""The desk on its own network, found by mDNS while it listens and not a moment longer (section 15)."""

from __future__ import annotations

import builtins
import logging
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, discovery
from zeroconf import IPVersion, ServiceBrowser, ServiceStateChange, Zeroconf

from unit.bridge.conftest import wait_for

DOCUMENT = Path(__file__).parents[3] / "docs" / "protocol.md"


class Seen:
    """What a browser on the loopback interface is told of one desk."""

    def __init__(self, fingerprint: str) -> None:
        self.short = fingerprint[:8]
        self.names: set[str] = set()
        self.lock = threading.Lock()

    def change(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        # Other desks on this machine are no concern of this test.
        if self.short in name:
            with self.lock:
                if state_change is ServiceStateChange.Removed:
                    self.names.discard(name)
                else:
                    self.names.add(name)


def test_a_desk_is_found_while_it_listens(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "desk", desk_name="Studio no. 1", discoverable=True)
    seen = Seen(bridge.fingerprint)
    browser = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    looking = ServiceBrowser(browser, discovery.SERVICE_TYPE, handlers=[seen.change])
    try:
        bridge.start()
        (name,) = wait_for(lambda: seen.names)
        info = browser.get_service_info(discovery.SERVICE_TYPE, name, timeout=10_000)
        assert info is not None
        assert f"{socket.inet_ntoa(info.addresses[0])}:{info.port}" == bridge.address
        assert info.properties == {b"v": b"1.1", b"f": bridge.fingerprint[:8].encode(), b"n": b"Studio no. 1"}
        bridge.stop()
        wait_for(lambda: not seen.names)
    finally:
        bridge.stop()
        looking.cancel()
        browser.close()
    assert not [thread for thread in threading.enumerate() if "pocketvideo" in thread.name]


def test_t03_a_desk_that_does_not_want_to_be_found_announces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(discovery.Announcement, "__init__", lambda self, *_: made.append(self))
    bridge = Bridge(tmp_path / "desk")
    bridge.start()
    bridge.stop()
    assert not made


def test_without_zeroconf_the_desk_says_so_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "zeroconf":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    bridge = Bridge(tmp_path / "desk", discoverable=True)
    with caplog.at_level(logging.WARNING):
        bridge.start()
        wait_for(lambda: "zeroconf is not installed" in caplog.text)
    assert bridge.running and len(caplog.records) == 1
    bridge.stop()


def test_the_name_of_the_service_is_the_documents() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"`{discovery.SERVICE_TYPE}`" in text
    assert f"`v={discovery.PROTOCOL}`" in text
    agent = Path(discovery.__file__).parents[1] / "agent"
    for path in agent.glob("*.py"):
        for found in re.findall(r"_pocketvideo\._tcp[a-z.]*", path.read_text(encoding="utf-8")):
            assert found == discovery.SERVICE_TYPE, path.name
