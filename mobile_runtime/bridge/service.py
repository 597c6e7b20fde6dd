"""`Bridge`: the desk's side as the nodes use it, synchronous and usable from any thread.

    bridge = Bridge(state_dir, host="192.168.1.20")
    offer = bridge.begin_pairing()               # show offer.uri or offer.code
    bridge.confirm(bridge.pending()[0].device_id)  # after comparing the verification code
    result = bridge.push(None, bundle, {"prompt": "..."}, on_event=print)

Nothing listens before the first pairing or push (T3). See docs/protocol.md.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import logging
import platform
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from ..bundle import Bundle
from .authority import load_authority, server_context
from .core import BridgeCore, Limits
from .errors import BridgeError
from .handshake import authority_part
from .jobs import AWAY_SECONDS, Job, JobEvent
from .listener import Listener, bind
from .offers import BundleOffer
from .outcome import DeviceInfo, InstallResult, JobResult
from .pairing import PairingDesk, PairingOffer, PendingDevice
from .state import BridgeState, DeviceRecord
from .waiting import CONNECT_SECONDS, PATIENCE_SECONDS, wait_for_job

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_VALUES_BYTES = 256 * 1024


class Bridge:
    """One desk: its devices, its listener and its jobs. All methods may be called from any thread.

    `port` 0 means the port of last time, or a free one at the very first start: devices remember the port.
    `names` are further host names under which devices reach this computer.
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
    ) -> None:
        self._folder = Path(state_dir)
        self._host = host
        self._wanted_port = port
        self._desk_name = (desk_name or platform.node() or "ComfyUI")[:64]
        self._names = names
        self._limits = limits or Limits()
        self._lock = threading.RLock()
        self._listener: Listener | None = None
        self._core: BridgeCore | None = None
        self._port = 0

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, if it does not yet; BridgeError says why it cannot."""
        with self._lock:
            if self._listener is not None:
                return
            state = BridgeState(self._folder)
            authority = load_authority(self._folder)
            context = server_context(self._folder, (self._host, *self._names))
            listener = bind(self._host, self._wanted_port or state.port)
            port = int(listener.getsockname()[1])
            try:
                if state.port != port:
                    state.port = port
                    state.save()
                core = BridgeCore(
                    state=state,
                    pairing=PairingDesk(authority.fingerprint),
                    authority=authority.certificate,
                    fingerprint=authority.fingerprint,
                    desk_name=self._desk_name,
                    hosts=_hosts((self._host, *self._names), port),
                    limits=self._limits,
                )
                thread = Listener(core, listener, context)
                thread.start()
            except BaseException:
                listener.close()
                raise
            self._listener, self._core, self._port = thread, core, port
            atexit.register(self.stop)
            log.info("PocketVideo's bridge listens on %s.", self.address)

    def stop(self) -> None:
        """Stop listening and fail what runs; does nothing when it is off. `start` may follow."""
        with self._lock:
            listener, core, self._listener, self._core = self._listener, self._core, None, None
        if listener is not None and core is not None:
            listener.stop()
            with contextlib.suppress(BridgeError):
                core.state.save()  # when each device was last seen
            atexit.unregister(self.stop)
            log.info("PocketVideo's bridge is off.")

    @property
    def running(self) -> bool:
        """Whether the bridge listens."""
        return self._listener is not None

    @property
    def address(self) -> str:
        """`host:port` for a device; empty while the bridge is off."""
        return authority_part(self._host, self._port) if self.running else ""

    # -- pairing ------------------------------------------------------------------------------------------

    def begin_pairing(self) -> PairingOffer:
        """Start the bridge if need be and open a new offer, good for one device and three minutes."""
        self.start()

        async def work(core: BridgeCore) -> PairingOffer:
            return core.pairing.open_offer(self._host, self._port, self.address)

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

    def revoke(self, device_id: str) -> None:
        """Forget a device at once: open polls end with 401, transfers are cut, jobs fail (T6)."""
        if self.running:

            async def work(core: BridgeCore) -> DeviceRecord | None:
                return core.revoke(device_id)

            removed = self._call(work)
        else:
            removed = BridgeState(self._folder).remove(device_id)
        if removed is None:
            raise BridgeError(f"No device with id {device_id} is paired; list the devices and try again.")

    def bytes_sent(self, device_id: str) -> dict[str, int]:
        """Bytes handed to the network for one device since the bridge started, by the file's SHA-256."""

        async def work(core: BridgeCore) -> dict[str, int]:
            return core.traffic.sent_to(device_id)

        return self._call(work)

    # -- jobs ---------------------------------------------------------------------------------------------

    def push(
        self,
        device_id: str | None,
        bundle: Bundle,
        values: dict[str, Any],
        on_event: Callable[[JobEvent], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> JobResult:
        """Send `bundle` to a device, run it there with `values`, and wait for what it made.

        `device_id` None means the only paired device. `on_event` and `cancelled` run in the caller's thread.
        A device that goes away may come back within `patience_seconds` and goes on where it was.
        Raises PushCancelled when `cancelled()` turned true, BridgeError with one sentence for all else.
        """
        job, cost = self._carry_out(
            "run", device_id, bundle, values, on_event, cancelled, connect_seconds, patience_seconds
        )
        if job.frames is None or job.video is None:
            raise BridgeError("The device's result was lost at the desk; queue the workflow again.")
        frames, video = job.frames, job.video
        job.frames = job.video = None
        return JobResult(*cost, frames=frames, video=video)

    def install(
        self,
        device_id: str | None,
        bundle: Bundle,
        on_event: Callable[[JobEvent], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> InstallResult:
        """Send `bundle` to a device, have it pass its self-test there, and leave it there to be run offline.

        As `push` otherwise; seconds may be `math.inf` to wait for a device that is away.
        """
        _, cost = self._carry_out(
            "install", device_id, bundle, {}, on_event, cancelled, connect_seconds, patience_seconds
        )
        return InstallResult(*cost)

    def _carry_out(
        self,
        kind: str,
        device_id: str | None,
        bundle: Bundle,
        values: dict[str, Any],
        on_event: Callable[[JobEvent], None] | None,
        cancelled: Callable[[], bool] | None,
        connect_seconds: float,
        patience_seconds: float,
    ) -> tuple[Job, tuple[dict[str, Any], int, int, int]]:
        """A job from queue to end: the job, which is done, and the fields of its InstallResult."""
        self.start()
        offer = BundleOffer.of(bundle)
        _check_values(values)
        device = self._choose(device_id)

        async def submit(core: BridgeCore) -> tuple[Job, int]:
            sent = sum(core.traffic.sent_to(device.device_id).values())
            return core.board.submit(device.device_id, device.name, offer, values, kind), sent

        job, sent_before = self._call(submit)
        try:
            wait_for_job(
                job,
                device.name,
                lambda: self._silence(device.device_id),
                on_event,
                cancelled,
                connect_seconds,
                patience_seconds,
            )
        finally:
            # Also after an exception in on_event: the device must not go on for nobody.
            sent_after = self._withdraw(job)
        if job.state != "done":
            raise BridgeError(f"{device.name} did not finish the job: {job.error or 'it was withdrawn'}")
        return job, (job.report, offer.total_bytes, sent_after - sent_before, job.attempt)

    def _choose(self, device_id: str | None) -> DeviceInfo:
        devices = self.devices()
        if not devices:
            raise BridgeError(
                "No device is paired with this desk; choose PocketVideo: Pair a device, or run "
                "`python -m comfyui_pocketvideo.mobile_runtime.agent --home FOLDER pair URI` on the device."
            )
        if not device_id:
            if len(devices) > 1:
                names = ", ".join(device.name for device in devices)
                raise BridgeError(
                    f"{len(devices)} devices are paired ({names}); choose one of them in the node."
                )
            return devices[0]
        for device in devices:
            if device.device_id == device_id:
                return device
        raise BridgeError(
            f"The device {device_id} is not paired with this desk; pair it or choose another one."
        )

    def _withdraw(self, job: Job) -> int:
        async def work(core: BridgeCore) -> int:
            core.board.cancel(job)
            return sum(core.traffic.sent_to(job.device_id).values())

        try:
            return self._call(work)
        except BridgeError:
            return 0  # stopped meanwhile: the board has closed the job

    def _silence(self, device_id: str) -> float:
        core = self._core
        # A read of two dictionaries; the worst a race can do is to see the device a moment late.
        return float("inf") if core is None else core.board.silence(device_id)

    def _call(self, work: Callable[[BridgeCore], Coroutine[Any, Any, T]]) -> T:
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


def _hosts(names: tuple[str, ...], port: int) -> frozenset[str]:
    every = {authority_part(name.lower(), port) for name in (*names, "localhost", "127.0.0.1", "::1")}
    return frozenset(every)


def _info(core: BridgeCore | None, record: DeviceRecord) -> DeviceInfo:
    return DeviceInfo(
        record.device_id,
        record.name,
        record.kind,
        record.paired_at,
        record.last_seen,
        core is not None and core.board.silence(record.device_id) < AWAY_SECONDS,
    )


def _check_values(values: dict[str, Any]) -> None:
    try:
        size = len(json.dumps(values, allow_nan=False).encode("utf-8"))
    except (TypeError, ValueError) as error:
        raise BridgeError(f"The workflow's values cannot be sent: {error}.") from error
    if size > MAX_VALUES_BYTES:
        raise BridgeError(
            f"The workflow's values have {size} bytes, more than the {MAX_VALUES_BYTES} that fit."
        )
