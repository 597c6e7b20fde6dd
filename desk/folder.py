"""The state folder: keys, paired devices, exports, sends, and what the user chose for the bridge.

bridge/       the bridge's own: authority, devices (mobile_runtime/bridge/state.py)
exports/      finished exports by content (pocketvideo/export/cache.py)
sends/        one folder per send
bundles/      what the desk remembers of bundles it sent: workflow and list of files
desk.json     address, port and names of the bridge
lock          held by the process whose bridge uses the folder
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DeskError

LOOPBACK = "127.0.0.1"
MAX_NAMES = 8
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?")


@dataclass(frozen=True)
class BridgeSettings:
    """Where the bridge listens: one address, a port (0: that of last time), further host names.

    Raises DeskError for what cannot be one of these.
    """

    address: str = LOOPBACK
    port: int = 0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            listening = ipaddress.ip_address(self.address.partition("%")[0])
        except ValueError:
            raise DeskError(
                f"{self.address!r:.80} is not an address of this computer: choose one from the list."
            ) from None
        if listening.is_unspecified:
            raise DeskError("The bridge does not listen on every interface: choose one address.")
        if not 0 <= self.port <= 65535:
            raise DeskError(f"There is no port {self.port}: choose one from 1024 to 65535, or 0 for any.")
        wrong = next((name for name in self.names if not _NAME.fullmatch(name.lower())), None)
        if wrong is not None:
            raise DeskError(
                f"{wrong!r:.80} is not a host name: write it as studio.local, or with a tunnel's port as "
                "studio.example.net:443."
            )
        if len(self.names) > MAX_NAMES:
            raise DeskError(f"{len(self.names)} host names are more than the {MAX_NAMES} that fit.")


class StateFolder:
    """The paths in one state folder, and its settings. Nothing is made before something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bridge = root / "bridge"
        self.exports = root / "exports"
        self.sends = root / "sends"
        self.bundles = root / "bundles"

    def settings(self) -> BridgeSettings:
        """What the user chose; loopback where there is nothing, or nothing that can be used."""
        saved = read_json(self.root / "desk.json")
        try:
            return BridgeSettings(
                str(saved.get("address", LOOPBACK)),
                int(saved.get("port", 0)),
                tuple(str(name) for name in saved.get("names", ())),
            )
        except (DeskError, TypeError, ValueError):
            return BridgeSettings()

    def save_settings(self, settings: BridgeSettings) -> None:
        """Remember what the user chose. Raises DeskError where the folder cannot be written."""
        document = {"address": settings.address, "port": settings.port, "names": list(settings.names)}
        write_json(self.root / "desk.json", document)


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter. Raises DeskError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DeskError(f"The folder {folder} cannot be made ({error.strerror}): choose another.") from error
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of ours; an empty one where there is none that can be read."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Replace a file by a JSON object, atomically and readable by its owner alone. Raises DeskError."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DeskError(f"{path} cannot be written ({error.strerror}): free some space there.") from error
