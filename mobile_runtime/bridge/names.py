"""Under which names devices reach the bridge: its own address, loopback, and names that the user gave.

A further name is `studio.local` (this computer under another name, at the bridge's own port) or
`studio.example.ts.net:443` (a tunnel's name with the tunnel's port). Everything that depends on names comes
from here: the Host allow-list (T2), the certificate, and the address in the QR code.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from .errors import BridgeError

HTTPS_PORT = 443
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MAX_NAMES = 16
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")


@dataclass(frozen=True)
class Name:
    """One host name or address; `port` 0 stands for the bridge's own."""

    host: str
    port: int = 0

    def address(self, port: int) -> str:
        """`host:port` as a person reads it, where the bridge's own port is `port`."""
        return authority_part(self.host, self.port or port)

    def host_headers(self, port: int) -> set[str]:
        """What a client may write into `Host` for it: the default port is left out by browsers."""
        real = self.port or port
        return {authority_part(self.host, real)} | ({_bracketed(self.host)} if real == HTTPS_PORT else set())


@dataclass(frozen=True)
class Names:
    """The bridge's own host and the further names, checked."""

    own: Name
    further: tuple[Name, ...]

    @classmethod
    def of(cls, host: str, further: tuple[str, ...]) -> Names:
        """Read what the user gave; BridgeError names one that is no host name."""
        if len(further) > MAX_NAMES:
            raise BridgeError(f"{len(further)} further names were given; the bridge takes {MAX_NAMES}.")
        return cls(Name(host), tuple(dict.fromkeys(read_name(text) for text in further)))

    def certificate_names(self) -> tuple[str, ...]:
        """Names for the leaf certificate; a tunnel has one of its own, and is in this one all the same."""
        return tuple(dict.fromkeys([self.own.host, *(name.host for name in self.further)]))

    def host_headers(self, port: int) -> frozenset[str]:
        """Every `Host` that the bridge answers for (T2), in lower case."""
        every = [self.own, *self.further, *(Name(name) for name in LOOPBACK_NAMES)]
        return frozenset().union(*({text.lower() for text in name.host_headers(port)} for name in every))

    def find(self, address: str, port: int) -> Name:
        """The name whose `address(port)` is `address`, the own one if that is empty; else BridgeError."""
        for name in (self.own, *self.further):
            if address in ("", name.address(port), name.host):
                return name
        raise BridgeError(f"The bridge is not reached as {address!r}; add that name in the settings first.")


def read_name(text: str) -> Name:
    """`NAME`, `NAME:PORT`, an address, `[IPv6]` or `[IPv6]:PORT`; BridgeError if it is none of them."""
    stripped = text.strip().lower()
    bare = stripped if _is_address(stripped) else ""
    bracketed = re.fullmatch(r"\[([0-9a-f:.]+)\](?::([0-9]{1,5}))?", stripped)
    plain = re.fullmatch(r"([^:\[\]]+)(?::([0-9]{1,5}))?", stripped)
    match = None if bare else bracketed or plain
    host, port = (match[1], int(match[2] or 0)) if match else (bare, 0)
    known = _is_address(host) or (not bracketed and bool(_DNS_NAME.match(host)))
    if not known or port > 65535 or (match is not None and match[2] is not None and port == 0):
        raise BridgeError(
            f"{text[:100]!r} is no host name; write it like studio.local, or with a tunnel's port like"
            " studio.example.ts.net:443."
        )
    if _is_address(host) and ipaddress.ip_address(host).is_unspecified:
        raise BridgeError(f"{text[:100]!r} names no computer; give an address or a name of this one.")
    return Name(host, port)


def authority_part(host: str, port: int) -> str:
    """`host:port` as in an address, with brackets around an IPv6 address."""
    return f"{_bracketed(host)}:{port}"


def web_address(host: str, port: int) -> str:
    """`https://host:port/`, without the port where it is the scheme's own."""
    return f"https://{_bracketed(host)}/" if port == HTTPS_PORT else f"https://{authority_part(host, port)}/"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
