"""`Bridge`: the desk's side as the nodes use it, synchronous and usable from any thread.

    bridge = Bridge(state_dir, host="192.168.1.20")
    offer = bridge.begin_pairing()               # show offer.uri or offer.code
    bridge.confirm(bridge.pending()[0].device_id)  # after comparing the verification code
    result = bridge.push(None, bundle, {"prompt": "..."}, on_event=print)

Nothing listens before the first pairing or push (T3). See docs/protocol.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..bundle import Bundle
from .core import BridgeCore
from .errors import BridgeError
from .jobs import Job, JobEvent
from .life import Listening
from .offers import BundleOffer
from .outcome import DeviceInfo, InstallResult, JobResult
from .room import check_room
from .waiting import CONNECT_SECONDS, PATIENCE_SECONDS, wait_for_job

MAX_VALUES_BYTES = 256 * 1024


class Bridge(Listening):
    """One desk: its devices, its listener and its jobs; `Listening` has what it is made of."""

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
        return JobResult(*cost, frames=frames, video=video, mime=job.mime)

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
            record = core.state.get(device.device_id)
            # What a device said before it went away may be out of date; it looks again when it comes.
            if record is not None and record.status is not None and device.connected:
                check_room(device.name, record.status, offer, core.board.known)
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


def _check_values(values: dict[str, Any]) -> None:
    try:
        size = len(json.dumps(values, allow_nan=False).encode("utf-8"))
    except (TypeError, ValueError) as error:
        raise BridgeError(f"The workflow's values cannot be sent: {error}.") from error
    if size > MAX_VALUES_BYTES:
        raise BridgeError(
            f"The workflow's values have {size} bytes, more than the {MAX_VALUES_BYTES} that fit."
        )
