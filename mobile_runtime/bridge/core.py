"""What the bridge's request handlers share: state, pairing, jobs, limits and counters.

Lives on the bridge's event loop. No HTTP parsing here; no threads either.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from .authority import Authority
from .errors import ApiError
from .handshake import token_hash
from .jobs import JobBoard
from .pages import Pages
from .pairing import PairingDesk
from .results import ResultSpool
from .state import BridgeState, DeviceRecord

WAITING_ROUTES = ("/jobs/next", "/socket")


class Socket(Protocol):
    """A device's open WebSocket, as far as the core needs it."""

    def renamed(self, name: str) -> None:
        """Tell the device its new name."""

    def end(self, reason: str) -> None:
        """Close it: `revoked`, `stopping` or `replaced`."""


REVOKED = "the device was revoked at the desk"


@dataclass(frozen=True)
class Limits:
    """Bounds of the bridge (T17); seconds and bytes. `bandwidth` caps one transfer in bytes per second."""

    connections: int = 128
    first_request_seconds: float = 20.0
    body_idle_seconds: float = 20.0
    slowest_body: float = 64 * 1024.0
    write_stall_seconds: float = 60.0
    transfers_per_device: int = 8
    longest_poll_seconds: float = 25.0
    bandwidth: float | None = None
    ping_seconds: float = 20.0
    results_bytes: int = 2 * 1024**3


@dataclass
class Traffic:
    """Bytes the bridge handed to the network for blobs, per (device id, SHA-256), since it started."""

    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    open_transfers: Counter[str] = field(default_factory=Counter)

    def sent_to(self, device_id: str) -> dict[str, int]:
        """Bytes sent to one device by SHA-256."""
        return {sha256: count for (device, sha256), count in self.bytes.items() if device == device_id}


class BridgeCore:
    """One running bridge, as its handlers see it."""

    def __init__(
        self,
        *,
        state: BridgeState,
        pairing: PairingDesk,
        authority: Authority,
        desk_name: str,
        hosts: frozenset[str],
        limits: Limits,
        pages: Pages,
        results: ResultSpool,
    ) -> None:
        self.state = state
        self.pairing = pairing
        self.authority = authority.certificate
        self.desk = {"id": authority.fingerprint[:16], "name": desk_name}
        self.hosts = hosts
        self.limits = limits
        self.pages = pages
        self.results = results
        self.board = JobBoard()
        self.traffic = Traffic()
        self.stopping = False
        self.sockets: dict[str, Socket] = {}
        self._live: dict[int, tuple[DeviceRecord, web.Request]] = {}
        self._deliveries: set[asyncio.Task[None]] = set()

    def authenticate(self, token: str) -> DeviceRecord:
        """The confirmed device that has this bearer token; else ApiError 401."""
        # The lookup is by hash, so its timing tells nothing about any token.
        device = self.state.by_token_hash(token_hash(token)) if token else None
        if device is None:
            raise unauthorized()
        device.last_seen = time.time()
        self.board.heard(device.device_id)
        return device

    def still_paired(self, device: DeviceRecord) -> None:
        """Raise ApiError 401 if the device was revoked while its request waited."""
        if self.state.get(device.device_id) is not device:
            raise unauthorized()

    def enter(self, device: DeviceRecord, request: web.Request) -> None:
        """Note a request of a device, so that handlers know the device and revoking can cut the request."""
        self._live[id(request)] = (device, request)

    def leave(self, request: web.Request) -> None:
        """The request is over."""
        self._live.pop(id(request), None)

    def device_of(self, request: web.Request) -> DeviceRecord:
        """The device of a request to a paired route."""
        return self._live[id(request)][0]

    def rename(self, device_id: str, name: str) -> DeviceRecord | None:
        """Give a device another name and tell it; None if it is not paired."""
        record = self.state.rename(device_id, name)
        if record is not None and device_id in self.sockets:
            self.sockets[device_id].renamed(name)
        return record

    def revoke(self, device_id: str) -> DeviceRecord | None:
        """Forget a device: polls answer 401, its socket closes, transfers are cut, its jobs fail (T6)."""
        record = self.state.remove(device_id)
        if record is None:
            return None
        self.board.drop_device(device_id, f"{record.name} was revoked at the desk; pair it again to use it.")
        if device_id in self.sockets:
            self.sockets[device_id].end("revoked")
        for device, request in list(self._live.values()):
            # A poll and a socket answer by themselves in a moment; everything that moves bytes ends here.
            moves_bytes = not request.path.endswith(WAITING_ROUTES) and request.method != "DELETE"
            if device is record and moves_bytes and request.transport is not None:
                request.transport.abort()
        return record

    def deliver_results(self) -> None:
        """Hand stored results on, in a thread and in turn."""
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(self.results.deliver))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    def close(self) -> None:
        """End jobs, polls and sockets; the bridge answers 503 from here on."""
        self.stopping = True
        self.board.close("the desk's bridge was stopped")
        for socket in self.sockets.values():
            socket.end("stopping")


def unauthorized() -> ApiError:
    """401 for a paired route."""
    return ApiError(
        401,
        "unauthorized",
        "This device is not paired with this desk, or was revoked; pair it again.",
        {"WWW-Authenticate": "Bearer"},
    )
