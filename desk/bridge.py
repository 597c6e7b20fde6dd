"""The bridge of a state folder, which one process at a time may run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..mobile_runtime.bridge import Bridge, DeviceInfo
from .folder import BridgeSettings, StateFolder
from .lock import FolderLock

OnResult = Callable[[Path, Any, DeviceInfo], None]


class DeskBridge(Bridge):
    """A bridge with its settings, and the folder's lock while it runs or writes.

    `stops` counts how often it was turned off, so that whoever waits for a device can tell that from a
    failure.
    """

    def __init__(
        self,
        folder: StateFolder,
        owner: str,
        settings: BridgeSettings,
        *,
        on_result: OnResult | None = None,
        discoverable: bool = False,
        changed: Callable[[], None] | None = None,
    ) -> None:
        """`changed` is called, from any thread, when the bridge was turned on or off."""
        super().__init__(
            folder.bridge,
            settings.address,
            settings.port,
            names=settings.names,
            discoverable=discoverable,
            on_result=on_result,
        )
        self.settings = settings
        self.stops = 0
        self._changed = changed or (lambda: None)
        self._folder_lock = FolderLock(folder.root, owner)

    def start(self) -> None:
        """Listen, if it does not yet. Raises DeskError where another process has the folder, BridgeError."""
        if self.running:
            return
        self._folder_lock.acquire()
        try:
            super().start()
        finally:
            if not self.running:
                self._folder_lock.release()
        self._changed()

    def stop(self) -> None:
        """Stop listening and let the folder go."""
        if self.running:
            self.stops += 1
            super().stop()
            self._folder_lock.release()
            self._changed()

    def rename(self, device_id: str, name: str) -> DeviceInfo:
        """As the bridge's, also while it is off."""
        with self._writing():
            return super().rename(device_id, name)

    def revoke(self, device_id: str) -> None:
        """As the bridge's, also while it is off."""
        with self._writing():
            super().revoke(device_id)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self.running:
            yield
            return
        self._folder_lock.acquire()
        try:
            yield
        finally:
            self._folder_lock.release()
