"""This ComfyUI as a desk: one bridge for the whole process, made at its first use.

Nothing here listens by itself (T3, T21): the bridge starts when the user pairs a device or sends a job.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths

if TYPE_CHECKING:
    from ...mobile_runtime.bridge import Bridge, DeviceInfo

logger = logging.getLogger(__name__)

STATE_VARIABLE = "POCKETVIDEO_STATE_DIR"
SETTINGS = "desk.json"
LOOPBACK = "127.0.0.1"

_lock = threading.Lock()
_bridge: Bridge | None = None
_bridge_address = ""


class DeskError(RuntimeError):
    """The desk cannot do what the user asked; one sentence to show as it is."""


def state_folder() -> Path:
    """Where keys, paired devices and exports are kept, out of reach of ComfyUI's HTTP routes."""
    named = os.environ.get(STATE_VARIABLE)
    return Path(named) if named else Path(folder_paths.get_system_user_directory("pocketvideo"))


def bridge(address: str | None = None) -> Bridge:
    """The process's one bridge, on `address` or the one used last. Raises DeskError.

    Changing the address stops the bridge on the old one.
    """
    global _bridge, _bridge_address
    try:
        from ...mobile_runtime.bridge import Bridge
    except ImportError as error:
        raise DeskError(_missing(error)) from error
    with _lock:
        wanted = address or _bridge_address or _saved_address()
        if _bridge is None or wanted != _bridge_address:
            if _bridge is not None:
                _bridge.stop()
            _bridge, _bridge_address = Bridge(state_folder() / "bridge", wanted), wanted
        if address:
            _save_address(wanted)
        return _bridge


def paired_devices() -> list[DeviceInfo]:
    """The paired devices, without starting anything; none where nobody ever paired one. Raises DeskError."""
    return list(bridge().devices()) if (state_folder() / "bridge").is_dir() else []


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


def _saved_address() -> str:
    try:
        saved: Any = json.loads((state_folder() / SETTINGS).read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError):
        return LOOPBACK
    return saved if isinstance(saved, str) else LOOPBACK


def _save_address(address: str) -> None:
    path = state_folder() / SETTINGS
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"address": address}), encoding="utf-8")
    temporary.replace(path)


def _missing(error: ImportError) -> str:
    return (
        f"Talking to a device needs the Python package {error.name or 'cryptography'}: run "
        '`pip install "pocketvideo[bridge]"` in ComfyUI\'s environment and start ComfyUI again.'
    )
