"""`Listening`: the bridge's life, its pairings and its devices; `service.Bridge` adds the jobs.

All methods are synchronous and may be called from any thread. Nothing listens before the first pairing or
push (T3).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import platform
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from .authority import load_authority, server_context
from .core import BridgeCore, Limits
from .discovery import Announcement
from .errors import ApiError, BridgeError
from .jobs import AWAY_SECONDS
from .listener import Listener, bind
from .names import Names
from .outcome import DeviceInfo
from .pages import PHONE_APP, Pages
from .pairing import PairingDesk, PairingOffer, PendingDevice
from .plain import plain_name
from .results import OnResult, ResultSpool
from .state import BridgeState, DeviceRecord

log = logging.getLogger(__name__)

T = TypeVar("T")


class Listening:
    """One desk without its jobs: its listener and its devices.

    `host` is the one address to listen on, `port` 0 the port of last time, or a free one at the very first
    start: devices remember the port. `names` are further names under which devices reach this computer, as
    `studio.local` or, for a tunnel, `studio.example.ts.net:443`. `discoverable` announces the desk by mDNS
    while it listens. `on_result` is called from a worker thread with (file, announcement, device) for each
    result that a device made alone, until it returns without an exception; see `results.py`.
    """

    def __init__(
        self,
        state_dir: Path | str,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        desk_name: str | None = None,
        names: tuple[str, ...] = (),
        limits: Limits | None = None,
        discoverable: bool = False,
        on_result: OnResult | None = None,
        app: Path = PHONE_APP,
    ) -> None:
        self._folder = Path(state_dir)
        self._host = host
        self._wanted_port = port
        self._desk_name = (desk_name or platform.node() or "ComfyUI")[:64]
        self._names = names
        self._limits = limits or Limits()
        self._discoverable = discoverable
        self._on_result = on_result
        self._app = app
        self._lock = threading.RLock()
        self._listener: Listener | None = None
        self._core: BridgeCore | None = None
        self._announcement: Announcement | None = None
        self._port = 0

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, if it does not yet; BridgeError says why it cannot."""
        with self._lock:
            if self._listener is not None:
                return
            names = Names.of(self._host, self._names)
            state = BridgeState(self._folder)
            authority = load_authority(self._folder)
            context = server_context(self._folder, names.certificate_names())
            listener = bind(self._host, self._wanted_port or state.port)
            port = int(listener.getsockname()[1])
            try:
                if state.port != port:
                    state.port = port
                    state.save()
                core = BridgeCore(
                    state=state,
                    pairing=PairingDesk(authority.fingerprint),
                    authority=authority,
                    desk_name=self._desk_name,
                    hosts=names.host_headers(port),
                    limits=self._limits,
                    pages=Pages(authority, self._desk_name, names.own.address(port), self._app),
                    results=ResultSpool(
                        self._folder / "results", self._limits.results_bytes, self._on_result
                    ),
                )
                thread = Listener(core, listener, context)
                thread.start()
            except BaseException:
                listener.close()
                raise
            self._listener, self._core, self._port = thread, core, port
            atexit.register(self.stop)
            log.info("PocketVideo's bridge listens on %s.", self.address)
            if self._discoverable:
                own = str(listener.getsockname()[0])
                self._announcement = Announcement(own, port, authority.fingerprint, self._desk_name)

    def stop(self) -> None:
        """Stop listening and fail what runs; does nothing when it is off. `start` may follow."""
        with self._lock:
            listener, core, self._listener, self._core = self._listener, self._core, None, None
            announcement, self._announcement = self._announcement, None
        if announcement is not None:
            announcement.withdraw()
        if listener is not None and core is not None:
            listener.stop()
            with contextlib.suppress(BridgeError):
                core.state.save()  # when each device was last seen, and what it last said of itself
            atexit.unregister(self.stop)
            log.info("PocketVideo's bridge is off.")

    @property
    def running(self) -> bool:
        """Whether the bridge listens."""
        return self._listener is not None

    @property
    def address(self) -> str:
        """`host:port` for a device; empty while the bridge is off."""
        return self.addresses[0] if self.running else ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every `host:port` under which devices reach the bridge, its own first; none while it is off."""
        if not self.running:
            return ()
        names = Names.of(self._host, self._names)
        return tuple(name.address(self._port) for name in (names.own, *names.further))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority in hex, which is made if need be; people compare it on the trust page."""
        with self._lock:
            return load_authority(self._folder).fingerprint

    # -- pairing ------------------------------------------------------------------------------------------

    def begin_pairing(self, address: str = "") -> PairingOffer:
        """Start the bridge if need be and open a new offer, good for one device and three minutes.

        `address` is one of `addresses` for the offer to name; empty means the first.
        """
        self.start()
        name = Names.of(self._host, self._names).find(address, self._port)

        async def work(core: BridgeCore) -> PairingOffer:
            return core.pairing.open_offer(name.host, name.port or self._port, name.address(self._port))

        return self._call(work)

    def cancel_pairing(self) -> None:
        """Withdraw the open offer."""
        if self.running:

            async def work(core: BridgeCore) -> None:
                core.pairing.close_offer()

            self._call(work)

    def pending(self) -> list[PendingDevice]:
        """Devices that wait for the user to compare the verification code and confirm."""
        if not self.running:
            return []

        async def work(core: BridgeCore) -> list[PendingDevice]:
            return core.pairing.pending()

        return self._call(work)

    def confirm(self, device_id: str) -> DeviceInfo:
        """Make a pending device's token valid (T5)."""

        async def work(core: BridgeCore) -> DeviceInfo:
            device = core.pairing.waiting(device_id)
            record = core.state.add(device_id, device.name, device.kind, device.token_sha256)
            core.pairing.settle(device_id, confirmed=True)
            log.info("PocketVideo paired the device %r.", record.name)
            return _info(core, record)

        return self._call(work)

    def refuse(self, device_id: str) -> None:
        """Turn a pending device away."""

        async def work(core: BridgeCore) -> None:
            core.pairing.settle(device_id, confirmed=False)

        self._call(work)

    # -- devices ------------------------------------------------------------------------------------------

    def devices(self) -> list[DeviceInfo]:
        """Paired devices, oldest first; reads the state file when the bridge is off."""
        if not self.running:
            return [_info(None, record) for record in BridgeState(self._folder).devices()]

        async def work(core: BridgeCore) -> list[DeviceInfo]:
            return [_info(core, record) for record in core.state.devices()]

        return self._call(work)

    def rename(self, device_id: str, name: str) -> DeviceInfo:
        """Give a device another name and tell it; BridgeError for a name that is no plain line (T14)."""
        try:
            checked = plain_name(name.strip())
        except ApiError as error:
            raise BridgeError(error.message) from error
        if self.running:

            async def work(core: BridgeCore) -> DeviceInfo | None:
                record = core.rename(device_id, checked)
                return None if record is None else _info(core, record)

            renamed = self._call(work)
        else:
            record = BridgeState(self._folder).rename(device_id, checked)
            renamed = None if record is None else _info(None, record)
        if renamed is None:
            raise _unknown(device_id)
        return renamed

    def revoke(self, device_id: str) -> None:
        """Forget a device at once: polls and sockets end, transfers are cut, jobs fail (T6)."""
        if self.running:

            async def work(core: BridgeCore) -> DeviceRecord | None:
                return core.revoke(device_id)

            removed = self._call(work)
        else:
            removed = BridgeState(self._folder).remove(device_id)
        if removed is None:
            raise _unknown(device_id)

    def bytes_sent(self, device_id: str) -> dict[str, int]:
        """Bytes handed to the network for one device since the bridge started, by the file's SHA-256."""

        async def work(core: BridgeCore) -> dict[str, int]:
            return core.traffic.sent_to(device_id)

        return self._call(work)

    # -- for those that build on it -------------------------------------------------------------------------

    def _silence(self, device_id: str) -> float:
        core = self._core
        # A read of two dictionaries; the worst a race can do is to see the device a moment late.
        return float("inf") if core is None else core.board.silence(device_id)

    def _call(self, work: Callable[[BridgeCore], Coroutine[Any, Any, T]]) -> T:
        """Run `work`, which is short, on the bridge's loop."""
        with self._lock:
            listener, core = self._listener, self._core
        if listener is None or core is None:
            raise BridgeError("The bridge is off; start a pairing or send a job to turn it on.")
        coroutine = work(core)
        try:
            return listener.call(coroutine)
        except (RuntimeError, TimeoutError, asyncio.CancelledError) as error:
            coroutine.close()
            raise BridgeError("The bridge was stopped meanwhile; try again.") from error


def _info(core: BridgeCore | None, record: DeviceRecord) -> DeviceInfo:
    return DeviceInfo(
        record.device_id,
        record.name,
        record.kind,
        record.paired_at,
        record.last_seen,
        core is not None and core.board.silence(record.device_id) < AWAY_SECONDS,
        record.status,
    )


def _unknown(device_id: str) -> BridgeError:
    return BridgeError(f"No device with id {device_id} is paired; list the devices and try again.")
