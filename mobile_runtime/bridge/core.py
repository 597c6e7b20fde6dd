"""What the bridge's request handlers share: state, pairing, jobs, limits and counters.

Lives on the bridge's event loop. No HTTP parsing here; no threads either.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from .errors import ApiError
from .handshake import token_hash
from .jobs import JobBoard
from .pairing import PairingDesk
from .state import BridgeState, DeviceRecord

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
        authority: bytes,
        fingerprint: str,
        desk_name: str,
        hosts: frozenset[str],
        limits: Limits,
    ) -> None:
        self.state = state
        self.pairing = pairing
        self.authority = authority
        self.desk = {"id": fingerprint[:16], "name": desk_name}
        self.hosts = hosts
        self.limits = limits
        self.board = JobBoard()
        self.traffic = Traffic()
        self.stopping = False
        self._live: dict[int, tuple[DeviceRecord, web.Request]] = {}

    def authenticate(self, request: web.Request) -> DeviceRecord:
        """The confirmed device whose bearer token the request carries; else ApiError 401."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        # The lookup is by hash, so its timing tells nothing about any token.
        device = self.state.by_token_hash(token_hash(token)) if scheme.lower() == "bearer" and token else None
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

    def revoke(self, device_id: str) -> DeviceRecord | None:
        """Forget a device: its polls answer 401, its transfers are cut, its jobs fail (T6)."""
        record = self.state.remove(device_id)
        if record is None:
            return None
        self.board.drop_device(device_id, f"{record.name} was revoked at the desk; pair it again to use it.")
        for device, request in list(self._live.values()):
            # A poll answers by itself in a moment; everything that moves bytes ends here.
            moves_bytes = not request.path.endswith("/jobs/next") and request.method != "DELETE"
            if device is record and moves_bytes and request.transport is not None:
                request.transport.abort()
        return record


def unauthorized() -> ApiError:
    """401 for a paired route."""
    return ApiError(
        401,
        "unauthorized",
        "This device is not paired with this desk, or was revoked; pair it again.",
        {"WWW-Authenticate": "Bearer"},
    )
