"""Announcing the desk on its own network by mDNS while the bridge runs (docs/protocol.md section 15).

Says where a desk is, and nothing of who may enter. Without the package zeroconf nothing is announced.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from typing import TYPE_CHECKING

from .plain import plain_line

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

log = logging.getLogger(__name__)

SERVICE_TYPE = "_pocketvideo._tcp.local."
PROTOCOL = "1.1"


class Announcement:
    """One announcement on the interface of `host`, from here until `withdraw`.

    Registering asks the network whether the name is free, which takes about a second: it happens in a thread,
    and a network that cannot be used costs one sentence in the log.
    """

    def __init__(self, host: str, port: int, fingerprint: str, desk_name: str) -> None:
        self._host, self._port = host, port
        self._fingerprint, self._desk_name = fingerprint, plain_line(desk_name, 63) or "PocketVideo"
        self._lock = threading.Lock()
        self._withdrawn = False
        self._zeroconf: Zeroconf | None = None
        self._info: ServiceInfo | None = None
        self._thread = threading.Thread(target=self._announce, name="pocketvideo-mdns", daemon=True)
        self._thread.start()

    def withdraw(self) -> None:
        """Take the announcement back and wait until it is."""
        with self._lock:
            self._withdrawn = True
        self._thread.join()
        if self._zeroconf is not None and self._info is not None:
            self._zeroconf.unregister_service(self._info)
        self._close()

    def _announce(self) -> None:
        try:
            from zeroconf import IPVersion, Zeroconf
        except ImportError:
            log.warning(
                "PocketVideo's desk cannot be found by name on the network: the Python package zeroconf is "
                "not installed. Pairing by QR code or address works without it."
            )
            return
        try:
            address = ipaddress.ip_address(self._host)
            version = IPVersion.V4Only if address.version == 4 else IPVersion.V6Only
            self._zeroconf = Zeroconf(interfaces=[self._host], ip_version=version)
            info = self._service(address.packed)
            with self._lock:
                if self._withdrawn:
                    return
            self._zeroconf.register_service(info, allow_name_change=True)
            self._info = info
            log.info("PocketVideo's desk announces itself as %s.", info.name)
        except Exception as error:
            # Whatever a network does to multicast, pairing by address still works.
            log.warning("PocketVideo's desk cannot be found by name on the network: %s.", error)

    def _service(self, packed: bytes) -> ServiceInfo:
        from zeroconf import ServiceInfo

        short = self._fingerprint[:8]
        # A dot would end the label, and labels are bounded in bytes.
        label = f"{self._desk_name.replace('.', ' ').encode()[:40].decode(errors='ignore')} ({short})"
        return ServiceInfo(
            SERVICE_TYPE,
            f"{label}.{SERVICE_TYPE}",
            addresses=[packed],
            port=self._port,
            properties={"v": PROTOCOL, "f": short, "n": self._desk_name},
            server=f"pocketvideo-{short}.local.",
        )

    def _close(self) -> None:
        if self._zeroconf is not None:
            self._zeroconf.close()
            self._zeroconf = None
