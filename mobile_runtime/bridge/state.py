"""What the bridge remembers between runs: its name, its port and its devices (T6).

One JSON file of mode 0600, replaced atomically. A device's token is kept as a SHA-256 only.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import BridgeError
from .files import make_private_folder, write_private
from .status import DeviceStatus, HeldBundle

log = logging.getLogger(__name__)

FORMAT = 1
MAX_DEVICES = 64
STATUS_SECONDS = 5.0


@dataclass
class DeviceRecord:
    """A confirmed device; times are Unix seconds, `status` is what it last said of itself."""

    device_id: str
    name: str
    kind: str
    token_sha256: str
    paired_at: float
    last_seen: float
    status: DeviceStatus | None = None


class BridgeState:
    """The state file of one bridge, read once and written at every change."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "bridge.json"
        self._folder = folder
        self.port = 0
        self._status_saved = -STATUS_SECONDS
        self._devices: dict[str, DeviceRecord] = {}
        self._read()

    def devices(self) -> list[DeviceRecord]:
        """All confirmed devices, oldest first."""
        return sorted(self._devices.values(), key=lambda device: device.paired_at)

    def get(self, device_id: str) -> DeviceRecord | None:
        """The device with this id, or None."""
        return self._devices.get(device_id)

    def by_token_hash(self, digest: str) -> DeviceRecord | None:
        """The device whose token has this SHA-256, or None.

        A loop over hashes is safe: an attacker who times it learns about hashes, and cannot choose a token by
        its hash.
        """
        return next((device for device in self._devices.values() if device.token_sha256 == digest), None)

    def add(self, device_id: str, name: str, kind: str, token_sha256: str) -> DeviceRecord:
        """Remember a confirmed device; its token is valid once this returns."""
        if len(self._devices) >= MAX_DEVICES:
            raise BridgeError(
                f"{MAX_DEVICES} devices are paired, which is the limit; revoke one and try again."
            )
        if self.by_token_hash(token_sha256) is not None:
            raise BridgeError("This device's token is in use by another device; pair it again.")
        now = time.time()
        record = DeviceRecord(device_id, name, kind, token_sha256, now, now)
        self._devices[device_id] = record
        try:
            self.save()
        except BridgeError:
            del self._devices[device_id]
            raise
        return record

    def remove(self, device_id: str) -> DeviceRecord | None:
        """Forget a device at once; returns what was known of it."""
        record = self._devices.pop(device_id, None)
        if record is not None:
            self.save()
        return record

    def rename(self, device_id: str, name: str) -> DeviceRecord | None:
        """Give a device another name; None if there is none by this id."""
        record = self._devices.get(device_id)
        if record is not None:
            old, record.name = record.name, name
            try:
                self.save()
            except BridgeError:
                record.name = old
                raise
        return record

    def set_status(self, device: DeviceRecord, status: DeviceStatus) -> None:
        """Keep what a device says of itself; the file is written when its bundles changed, or at the end."""
        old, device.status = device.status, status
        changed = old is None or old.bundles != status.bundles
        # A device that talks much must not keep the disk busy (T17); the end of the bridge saves the rest.
        if changed and time.monotonic() - self._status_saved >= STATUS_SECONDS:
            self._status_saved = time.monotonic()
            self.save()

    def save(self) -> None:
        """Write the file; the folder is made if need be."""
        document = {
            "format": FORMAT,
            "port": self.port,
            "devices": [asdict(device) for device in self.devices()],
        }
        try:
            make_private_folder(self._folder)
            write_private(self._path, json.dumps(document, indent=1).encode("utf-8"))
        except OSError as error:
            raise BridgeError(f"The bridge's state file {self._path} cannot be written: {error}.") from error

    def _read(self) -> None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise BridgeError(f"The bridge's state file {self._path} cannot be read ({error}).") from error
        try:
            document: dict[str, Any] = json.loads(data)
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']!r}, not {FORMAT}")
            self.port = int(document["port"])
            devices = [_record(entry) for entry in document["devices"]]
        except (ValueError, KeyError, TypeError) as error:
            raise BridgeError(
                f"The bridge's state file {self._path} is damaged ({error}); delete it and pair again."
            ) from error
        self._devices = {device.device_id: device for device in devices}


def _record(entry: dict[str, Any]) -> DeviceRecord:
    status = entry.pop("status", None)
    if status is not None:
        bundles = tuple(HeldBundle(**item) for item in status.pop("bundles"))
        status = DeviceStatus(**status, bundles=bundles)
    return DeviceRecord(**entry, status=status)
