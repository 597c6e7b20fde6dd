"""The arithmetic of pairing (docs/protocol.md section 4): commitment, proof and verification code.

Pure functions over strings and bytes. The agent has its own copy of the device's side (it may not import the
bridge); tests/vectors/pairing.json holds both, and later the phone's, to the same numbers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from .names import web_address


@dataclass(frozen=True)
class Introduction:
    """What a device says of itself when it asks to be paired; every field is bound by proof and code."""

    name: str
    kind: str
    commitment: str
    token_sha256: str


def commitment_of(nonce: bytes) -> str:
    """The hash by which a device fixes its nonce before it sees the desk's."""
    return hashlib.sha256(nonce).hexdigest()


def token_hash(token: str) -> str:
    """SHA-256 of a bearer token's text; its 256 random bits need neither salt nor stretching."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def proof_of(key: bytes, fingerprint: str, device: Introduction) -> str:
    """HMAC-SHA256 that shows knowledge of `key` to the owner of the authority `fingerprint` alone."""
    message = _lines(
        "pocketvideo-pair-1", fingerprint, device.commitment, device.token_sha256, device.name, device.kind
    )
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def verification_code(fingerprint: str, nonce: bytes, desk_nonce: str, device: Introduction) -> str:
    """Six digits that agree on both screens only if nobody stands between desk and device."""
    message = _lines(
        "pocketvideo-verify-1",
        fingerprint,
        nonce.hex(),
        desk_nonce,
        device.token_sha256,
        device.name,
        device.kind,
    )
    number = int.from_bytes(hashlib.sha256(message).digest()[:8], "big") % 1_000_000
    return f"{number:06d}"


def pairing_uri(host: str, port: int, secret: bytes, fingerprint: str) -> str:
    """`https://HOST:PORT/#s=...&f=...`, which a phone's camera opens; the fragment is never sent."""
    text = base64.urlsafe_b64encode(secret).decode("ascii").rstrip("=")
    return f"{web_address(host, port)}#s={text}&f={fingerprint}"


def _lines(*parts: str) -> bytes:
    return "\n".join(parts).encode("utf-8")
