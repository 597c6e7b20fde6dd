"""This ComfyUI as a desk: one bridge, one queue of sends, one shelf of results, made at their first use.

Nothing here listens by itself (T3, T21): the bridge starts when the user pairs a device, sends a workflow or
turns it on.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths

from ...desk.devices import described
from ...desk.errors import DeskError, missing
from ...desk.folder import BridgeSettings, StateFolder
from ...desk.names import PathError
from ...desk.pipeline import Workshop
from ...desk.results import ResultShelf, SentBack
from ...desk.sends import SendManager
from .folders import output_place
from .lookups import HostLookups
from .news import News

if TYPE_CHECKING:
    from ...desk.bridge import DeskBridge
    from ...mobile_runtime.bridge import DeviceInfo

logger = logging.getLogger(__name__)

STATE_VARIABLE = "POCKETVIDEO_STATE_DIR"
LOOPBACK = "127.0.0.1"
SENDS, DEVICES, RESULTS = "pocketvideo.sends", "pocketvideo.devices", "pocketvideo.results"


def state_folder() -> Path:
    """Where keys, paired devices and exports are kept, out of reach of ComfyUI's HTTP routes."""
    named = os.environ.get(STATE_VARIABLE)
    return Path(named) if named else Path(folder_paths.get_system_user_directory("pocketvideo"))


@functools.cache
def host_desk() -> HostDesk:
    """The process's one desk."""
    return HostDesk(StateFolder(state_folder()))


class HostDesk:
    """What ComfyUI's routes and nodes share. All methods may be called from any thread."""

    def __init__(self, folder: StateFolder) -> None:
        from comfy.cli_args import args

        self.folder = folder
        self.workshop = Workshop(folder)
        self.news = News(
            _broadcast, {SENDS: self.sends_list, DEVICES: self.news_of_devices, RESULTS: self.results}
        )
        self.sends = SendManager(
            self.workshop, self.bridge, HostLookups, functools.partial(self.news.changed, SENDS)
        )
        self._shelf = ResultShelf(
            folder,
            _place,
            metadata=not args.disable_metadata,
            changed=functools.partial(self.news.changed, RESULTS),
        )
        self._lock = threading.RLock()
        self._bridge: DeskBridge | None = None

    # -- the bridge ---------------------------------------------------------------------------------------

    def bridge(self) -> DeskBridge:
        """The one bridge, listening or not. Raises DeskError where a package is missing."""
        try:
            from ...desk.bridge import DeskBridge
        except ImportError as error:
            raise missing(error) from error
        with self._lock:
            if self._bridge is None:
                self._bridge = DeskBridge(
                    self.folder,
                    "ComfyUI",
                    self.folder.settings(),
                    on_result=self._take_result,
                    discoverable=True,
                    changed=functools.partial(self.news.changed, DEVICES),
                )
                self.news.watch(DEVICES, self.is_running)
            return self._bridge

    def is_running(self) -> bool:
        """Whether the bridge listens."""
        bridge = self._bridge
        return bridge is not None and bridge.running

    def start(self) -> None:
        """Listen. Raises DeskError and BridgeError."""
        self.bridge().start()

    def stop(self) -> None:
        """Stop listening; what is being sent waits until it is on again."""
        with self._lock:
            if self._bridge is not None:
                self._bridge.stop()

    def configure(self, settings: BridgeSettings) -> None:
        """Keep what the user chose; a running bridge moves there, or stays where it was if it cannot.

        Raises DeskError and BridgeError.
        """
        with self._lock:
            before = self.bridge()
            if settings == before.settings:
                return
            running = before.running
            before.stop()
            self._bridge = None
            self.folder.save_settings(settings)
            try:
                moved = self.bridge()
                if running:
                    moved.start()
            except BaseException:
                self.folder.save_settings(before.settings)
                self._bridge = before
                if running:
                    before.start()
                raise
        self.news.changed(DEVICES)

    # -- what pages are told ------------------------------------------------------------------------------

    def devices(self) -> dict[str, Any]:
        """As `GET /devices` tells it (docs/desk-api.md)."""
        bridge = self.bridge()
        address = bridge.address
        port = address.rpartition(":")[2]
        return {
            "devices": [described(device) for device in bridge.devices()],
            "address": address,
            "addresses": local_addresses(),
            "port": int(port) if port.isdecimal() else bridge.settings.port,
            "running": bridge.running,
        }

    def news_of_devices(self) -> dict[str, Any]:
        """The same with the number of devices that wait; their codes are for who asks, not for everybody."""
        return {**self.devices(), "pending": len(self.bridge().pending())}

    def settings(self) -> dict[str, Any]:
        """As `GET /settings` tells it."""
        kept = self.folder.settings()
        return {
            "address": kept.address,
            "port": kept.port,
            "names": list(kept.names),
            "addresses": local_addresses(),
            "running": self.is_running(),
        }

    def sends_list(self) -> dict[str, Any]:
        """As `GET /sends` tells it."""
        return {"sends": self.sends.list()}

    def results(self) -> dict[str, Any]:
        """As `GET /results` tells it."""
        return {"results": self._shelf.newest()}

    def _take_result(self, file: Path, told: Any, device: DeviceInfo) -> None:
        self._shelf.put(
            SentBack(
                file,
                told.result_id,
                told.bundle_id,
                told.name,
                told.values,
                told.seconds,
                told.mime,
                device.name,
            )
        )


def paired_devices() -> list[DeviceInfo]:
    """The paired devices, without making anything; none where nobody ever paired one. Raises DeskError."""
    desk = host_desk()
    return list(desk.bridge().devices()) if desk.folder.bridge.is_dir() else []


def local_addresses() -> list[str]:
    """Addresses of this computer that devices may reach, loopback first. Sends nothing."""
    found = [LOOPBACK]
    try:
        infos = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        infos = []
    candidates = [str(info[4][0]) for info in infos]
    # "Connecting" a datagram socket only asks the routing table which address would be used.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            candidates.append(str(probe.getsockname()[0]))
        except OSError:
            logger.debug("This computer has no route to other networks.")
    for text in candidates:
        address = ipaddress.ip_address(text.partition("%")[0])
        usable = not (address.is_loopback or address.is_link_local or address.is_unspecified)
        if usable and text not in found:
            found.append(text)
    return found


def _place(prefix: str, extension: str) -> tuple[Path, str]:
    try:
        return output_place(prefix, extension=extension)
    except PathError as error:
        raise DeskError(str(error)) from error


def _broadcast(event: str, detail: dict[str, Any]) -> None:
    from server import PromptServer

    # Code that uses ComfyUI as a library has no server.
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.send_sync(event, detail)
