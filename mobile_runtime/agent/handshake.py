"""The device's side of pairing arithmetic (docs/protocol.md section 4).

The same formulas as the bridge's, kept apart because the device carries no part of the desk;
tests/vectors/pairing.json holds both to the same numbers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from .errors import AgentError

HTTPS_PORT = 443


@dataclass(frozen=True)
class Invitation:
    """Where the desk is and what proves that we were asked in.

    `key` keys the proof; `fingerprint` (SHA-256 of the desk's authority, hex) is empty for a typed code.
    """

    host: str
    port: int
    key: bytes
    fingerprint: str


@dataclass(frozen=True)
class Identity:
    """What the device draws for one pairing: its name, its future token and its nonce."""

    name: str
    kind: str
    token: str
    nonce: bytes

    @classmethod
    def draw(cls, name: str, kind: str = "agent") -> Identity:
        """A fresh identity: 256 random bits of token, 128 of nonce."""
        return cls(name, kind, secrets.token_hex(32), secrets.token_bytes(16))

    @property
    def commitment(self) -> str:
        """The hash that fixes the nonce before the desk's is known."""
        return hashlib.sha256(self.nonce).hexdigest()

    @property
    def token_sha256(self) -> str:
        """What the desk keeps of the token."""
        return hashlib.sha256(self.token.encode("ascii")).hexdigest()

    def proof(self, key: bytes, fingerprint: str) -> str:
        """HMAC-SHA256 over the introduction, bound to the authority that this device sees."""
        message = _lines(
            "pocketvideo-pair-1", fingerprint, self.commitment, self.token_sha256, self.name, self.kind
        )
        return hmac.new(key, message, hashlib.sha256).hexdigest()

    def verification_code(self, fingerprint: str, desk_nonce: str) -> str:
        """Six digits to compare with the desk's screen."""
        message = _lines(
            "pocketvideo-verify-1",
            fingerprint,
            self.nonce.hex(),
            desk_nonce,
            self.token_sha256,
            self.name,
            self.kind,
        )
        return f"{int.from_bytes(hashlib.sha256(message).digest()[:8], 'big') % 1_000_000:06d}"


def read_uri(uri: str) -> Invitation:
    """Read `https://HOST:PORT/#s=SECRET&f=FINGERPRINT` (or `pocketvideo://`); AgentError if it is not one."""
    try:
        parts = urlsplit(uri.strip())
        fragment = dict(parse_qsl(parts.fragment, strict_parsing=True))
        text = fragment["s"]
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        host, fingerprint = parts.hostname, fragment["f"]
        port = HTTPS_PORT if parts.port is None else parts.port
        if parts.scheme not in ("https", "pocketvideo") or not host or not port or len(secret) != 16:
            raise ValueError
        if not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
            raise ValueError
    except (ValueError, KeyError, binascii.Error):
        raise AgentError(
            "This is not a pairing address; copy it whole from the desk: "
            "https://HOST:PORT/#s=...&f=... (in quotes, as a shell reads & and # itself)."
        ) from None
    return Invitation(host, port, secret, fingerprint)


def read_code(address: str, code: str) -> Invitation:
    """An invitation from `HOST:PORT` and the digits that the desk shows; AgentError if they are not that."""
    digits = code.replace(" ", "").replace("-", "")
    try:
        parts = urlsplit(f"//{address.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise AgentError(f"The desk's address {address!r} must read HOST:PORT, as the desk shows it.")
    if not re.fullmatch(r"[0-9]{6,12}", digits):
        raise AgentError("A pairing code is the row of digits that the desk shows.")
    return Invitation(host, port, digits.encode("ascii"), "")


def _lines(*parts: str) -> bytes:
    return "\n".join(parts).encode("utf-8")
