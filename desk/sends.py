"""The send manager: a queue of workflows on their way to devices, which outlives pages and restarts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .devices import device_target
from .errors import DeskError, SendCancelled, missing
from .pipeline import WAITING, Prepared, Tell, Workshop
from .planning import plan_send
from .request import DeskLookups, SendRequest
from .self_tests import worst_psnr
from .send import CANCELLED, DONE, FAILED, Send, SendStore

if TYPE_CHECKING:
    from ..mobile_runtime.bundle import Bundle
    from .bridge import DeskBridge

log = logging.getLogger(__name__)

MAX_OPEN = 16
MAX_KEPT = 100
LOOK_SECONDS = 0.2


class SendManager:
    """The sends of one state folder. All methods may be called from any thread.

    One workflow is exported at a time, one device gets one bundle at a time; a send that waits for its device
    holds nobody else up.
    """

    def __init__(
        self,
        workshop: Workshop,
        bridge: Callable[[], DeskBridge],
        lookups: Callable[[], DeskLookups],
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called, from any thread, whenever `list` would answer something new."""
        self._workshop, self._bridge, self._lookups = workshop, bridge, lookups
        self._changed = changed
        self._store = SendStore(workshop.folder)
        self._lock = threading.Lock()
        self._sends = {send.send_id: send for send in self._store.load()}
        self._devices: dict[str, threading.Lock] = {}

    def plan(self, request: SendRequest) -> dict[str, Any]:
        """What a send would do (`planning.py`). Raises DeskError, WorkflowError, ExportError, BridgeError."""
        target = device_target(self._bridge(), request.device_id)
        return plan_send(self._workshop, request, self._lookups(), target)

    def submit(self, request: SendRequest) -> Send:
        """Queue a send and return it at once. Raises DeskError and BridgeError."""
        bridge = self._bridge()
        target = device_target(bridge, request.device_id)
        # Whoever sends wants the device to be able to come; and what keeps the bridge from it is told now.
        bridge.start()
        with self._lock:
            self._check_room()
            send = self._store.new(request, request.name or "Workflow", target.device_id, target.name)
            self._sends[send.send_id] = send
            self._forget_old()
        self._start(send)
        return send

    def list(self) -> list[dict[str, Any]]:
        """Every send as the page shows it, newest first."""
        with self._lock:
            sends = sorted(self._sends.values(), key=lambda send: send.created_at, reverse=True)
        return [send.public() for send in sends]

    def cancel(self, send_id: str) -> None:
        """Take a send back, at whatever stage; one that is over stays as it is. Raises DeskError."""
        self._find(send_id).cancel.set()

    def retry(self, send_id: str) -> None:
        """Begin a send again that is over; what was made and transferred is used again. Raises DeskError."""
        self._find(send_id)
        self._bridge().start()
        with self._lock:
            send = self._sends.get(send_id)
            if send is None:
                raise _unknown()
            if send.is_open:
                raise DeskError(f"{send.name} is being sent already: wait for its end, or cancel it.")
            self._check_room()
            send.begin_again()
        self._start(send)

    def clear(self, send_id: str | None = None) -> None:
        """Forget a send that is over, or all of them. Raises DeskError."""
        with self._lock:
            if send_id is not None and self._sends.get(send_id) is None:
                raise _unknown()
            chosen = [
                send for send in self._sends.values() if send_id in (None, send.send_id) and not send.is_open
            ]
            if send_id is not None and not chosen:
                raise DeskError(f"{self._sends[send_id].name} is on its way: cancel it first.")
            for send in chosen:
                del self._sends[send.send_id]
                self._store.forget(send.send_id)
        self._changed()

    def _start(self, send: Send) -> None:
        self._changed()
        # Daemon threads: a send must not keep ComfyUI from ending, and its file says where it was.
        threading.Thread(target=self._run, args=(send,), name="pocketvideo-send", daemon=True).start()

    def _run(self, send: Send) -> None:
        try:
            self._store.save(send)
            prepared = self._prepare(send)
            self._install(send, prepared)
            self._finish(send, DONE)
        except SendCancelled:
            self._finish(send, CANCELLED)
        except Exception as error:
            if not is_expected(error):
                log.exception("The send %s failed.", send.send_id)
            told = str(error) if is_expected(error) else f"The send failed ({error}); the log says where."
            self._finish(send, FAILED, told)

    def _prepare(self, send: Send) -> Prepared:
        folder = self._store.bundle_folder(send.send_id)
        prepared = self._workshop.prepare(
            send.request, self._lookups(), folder, self._tell(send), send.cancel
        )
        send.name = prepared.name
        send.total_bytes = self._to_send(send.device_id, prepared.bundle)
        return prepared

    def _to_send(self, device_id: str, bundle: Bundle) -> int:
        """Bytes of the files that the device does not hold, as far as it said what it holds."""
        held = self._workshop.records.files_of(device_target(self._bridge(), device_id).bundle_ids)
        missing_files = {entry["sha256"]: entry["bytes"] for entry in bundle.files.values()}
        return sum(size for sha256, size in missing_files.items() if sha256 not in held)

    def _install(self, send: Send, prepared: Prepared) -> None:
        tell = self._tell(send)
        tell(WAITING, None, f"Waiting for {send.device_name}")
        with self._lock:
            device = self._devices.setdefault(send.device_id, threading.Lock())
        while not device.acquire(timeout=LOOK_SECONDS):
            if send.cancel.is_set():
                raise SendCancelled
        try:
            while not self._installed(send, prepared, tell):
                tell(WAITING, None, f"Waiting for {send.device_name}")
        finally:
            device.release()

    def _installed(self, send: Send, prepared: Prepared, tell: Tell) -> bool:
        """Install once; False where the user turned the bridge off meanwhile."""
        from ..mobile_runtime.bridge import BridgeError

        bridge = self._bridge()
        while not bridge.running:
            # The user turned it off, so it is not for a send to turn it on.
            tell(WAITING, None, "Waiting for the bridge, which is off")
            if send.cancel.wait(LOOK_SECONDS):
                raise SendCancelled
            bridge = self._bridge()
        stops = bridge.stops
        try:
            result = self._workshop.install(bridge, send.device_id, prepared.bundle, tell, send.cancel)
        except BridgeError:
            if bridge.stops == stops:
                raise
            return False
        send.total_bytes = result.sent_bytes
        send.self_test = worst_psnr(result.report)
        return True

    def _tell(self, send: Send) -> Tell:
        def tell(state: str, fraction: float | None, words: str) -> None:
            if send.enter(state, fraction, words):
                self._store.save(send)
            self._changed()

        return tell

    def _finish(self, send: Send, state: str, error: str | None = None) -> None:
        self._store.drop_bundle(send.send_id)
        send.end(state, error)
        try:
            self._store.save(send)
        except DeskError as failure:
            log.warning("%s", failure)
        self._changed()

    def _find(self, send_id: str) -> Send:
        with self._lock:
            send = self._sends.get(send_id)
        if send is None:
            raise _unknown()
        return send

    def _check_room(self) -> None:
        if sum(send.is_open for send in self._sends.values()) >= MAX_OPEN:
            raise DeskError(f"{MAX_OPEN} sends are under way, which is the limit: wait, or cancel one.")

    def _forget_old(self) -> None:
        over = [send for send in self._sends.values() if not send.is_open]
        for send in over[: max(0, len(self._sends) - MAX_KEPT)]:
            del self._sends[send.send_id]
            self._store.forget(send.send_id)


def is_expected(error: BaseException) -> bool:
    """Whether an error is one sentence for a person, instead of a fault of the program."""
    from ..mobile_runtime.bundle import BundleError
    from ..pocketvideo.export import ExportError, WorkflowError

    if isinstance(error, (DeskError, WorkflowError, ExportError, BundleError)):
        return True
    try:
        from ..mobile_runtime.bridge import BridgeError
    except ImportError as failure:
        raise missing(failure) from failure
    return isinstance(error, BridgeError)


def _unknown() -> DeskError:
    return DeskError("There is no such send: it was cleared meanwhile.")
