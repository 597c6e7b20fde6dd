"""Desks on this network that want to be found (docs/protocol.md section 15); needs the package zeroconf."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from .errors import AgentError

SERVICE = "_pocketvideo._tcp.local."
LOOK_SECONDS = 3.0


@dataclass(frozen=True)
class FoundDesk:
    """Where a desk says it is. Nothing here is proven: pairing needs its offer as ever."""

    name: str
    address: str
    fingerprint: str


def discover(seconds: float = LOOK_SECONDS, interfaces: list[str] | None = None) -> list[FoundDesk]:
    """The desks that answer within `seconds`, by name. Raises AgentError where zeroconf is missing."""
    try:
        from zeroconf import InterfaceChoice, ServiceBrowser, ServiceListener, Zeroconf
    except ImportError:
        raise AgentError(
            "Looking for desks needs the package zeroconf; install it, or pair with the address that the desk"
            " shows."
        ) from None
    found: dict[str, FoundDesk] = {}

    class Listener(ServiceListener):
        """Notes what is announced."""

        def add_service(self, zc: Any, type_: str, name: str) -> None:
            info = zc.get_service_info(type_, name, timeout=int(1000 * seconds))
            if info is not None and info.port and (addresses := info.parsed_scoped_addresses()):
                host = addresses[0]
                address = f"[{host}]:{info.port}" if ":" in host else f"{host}:{info.port}"
                found[name] = FoundDesk(
                    _text(info.properties, b"n", 64), address, _text(info.properties, b"f", 8)
                )

        def update_service(self, zc: Any, type_: str, name: str) -> None:
            self.add_service(zc, type_, name)

        def remove_service(self, zc: Any, type_: str, name: str) -> None:
            found.pop(name, None)

    try:
        zeroconf = Zeroconf(interfaces=interfaces or InterfaceChoice.All)
    except OSError as error:
        raise AgentError(
            f"This network cannot be searched ({error.strerror or error}); pair with the desk's address."
        ) from error
    try:
        browser = ServiceBrowser(zeroconf, SERVICE, Listener())
        time.sleep(seconds)
        browser.cancel()
    finally:
        zeroconf.close()
    return sorted(found.values(), key=lambda desk: (desk.name, desk.address))


def _text(properties: Any, key: bytes, most: int) -> str:
    """A value of the TXT record as one plain line: anybody on the network may have written it (T14)."""
    text = (properties.get(key) or b"").decode("utf-8", "replace")[:most]
    return "".join(char if char.isprintable() else " " for char in text).strip()
