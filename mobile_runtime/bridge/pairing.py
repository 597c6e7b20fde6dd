"""Pairing at the desk: one offer, five tries, a commitment, and a person who confirms (T4, T5).

`PairingDesk` is plain state with an injected clock; it knows nothing about HTTP or files. All methods run on
the bridge's event loop.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ApiError, BridgeError
from .handshake import Introduction, commitment_of, pairing_uri, proof_of, verification_code

log = logging.getLogger(__name__)

OFFER_SECONDS = 180.0
MAX_WRONG_PROOFS = 5
CODE_DIGITS = 8


@dataclass(frozen=True)
class PairingOffer:
    """What the desk shows: `uri` (QR code or to copy), `code` to type, and when it ends (Unix seconds)."""

    uri: str
    code: str
    address: str
    expires_at: float


@dataclass(frozen=True)
class PendingDevice:
    """A device that proved it knows the offer and waits for the user to compare `verification_code`."""

    device_id: str
    name: str
    kind: str
    verification_code: str
    remote_address: str
    expires_at: float


@dataclass
class _Offer:
    secret: bytes
    code: str
    deadline: float
    expires_at: float
    wrong: int = 0
    used: bool = False


@dataclass
class _Pairing:
    pairing_id: str
    device_id: str
    device: Introduction
    desk_nonce: str
    remote_address: str
    deadline: float
    expires_at: float
    state: str = "introduced"  # introduced -> waiting -> confirmed | refused
    verification_code: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class PairingDesk:
    """Holds at most one open offer and the pairings made from offers of the last minutes."""

    def __init__(self, fingerprint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._fingerprint = fingerprint
        self._clock = clock
        self._offer: _Offer | None = None
        self._pairings: dict[str, _Pairing] = {}

    def open_offer(self, host: str, port: int, address: str) -> PairingOffer:
        """Make a new offer and forget the one before it."""
        secret = secrets.token_bytes(16)
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        expires_at = time.time() + OFFER_SECONDS
        self._offer = _Offer(secret, code, self._clock() + OFFER_SECONDS, expires_at)
        return PairingOffer(pairing_uri(host, port, secret, self._fingerprint), code, address, expires_at)

    def close_offer(self) -> None:
        """Withdraw the open offer, if any."""
        self._offer = None

    def introduce(self, device: Introduction, proof: str, remote_address: str) -> tuple[str, str, float]:
        """Check a device's proof; returns (pairing id, desk nonce, seconds left). Uses the offer up.

        Raises ApiError 410 `no_offer`, 429 `locked`, 403 `wrong_code`.
        """
        self._drop_expired()
        offer = self._offer
        if offer is None or offer.used:
            raise ApiError(
                410, "no_offer", "No pairing offer is open at the desk; press Pair there and try again."
            )
        if offer.wrong >= MAX_WRONG_PROOFS:
            raise ApiError(
                429,
                "locked",
                f"The pairing offer is locked after {MAX_WRONG_PROOFS} wrong tries; make a new one.",
            )
        # Both comparisons always run, so that timing does not tell which key was nearly right.
        by_secret = hmac.compare_digest(proof, proof_of(offer.secret, self._fingerprint, device))
        by_code = hmac.compare_digest(proof, proof_of(offer.code.encode("ascii"), self._fingerprint, device))
        if not (by_secret | by_code):
            offer.wrong += 1
            log.warning("PocketVideo refused a pairing attempt from %s: wrong code.", remote_address)
            if offer.wrong >= MAX_WRONG_PROOFS:
                raise ApiError(
                    429,
                    "locked",
                    f"The pairing offer is locked after {MAX_WRONG_PROOFS} wrong tries; make a new one.",
                )
            raise ApiError(403, "wrong_code", "The pairing code is wrong; look at the desk and try again.")
        offer.used = True
        pairing = _Pairing(
            pairing_id=secrets.token_hex(16),
            device_id=secrets.token_hex(8),
            device=device,
            desk_nonce=secrets.token_hex(16),
            remote_address=remote_address,
            deadline=offer.deadline,
            expires_at=offer.expires_at,
        )
        self._pairings[pairing.pairing_id] = pairing
        return pairing.pairing_id, pairing.desk_nonce, pairing.deadline - self._clock()

    def reveal(self, pairing_id: str, nonce: bytes) -> None:
        """Take the nonce behind the commitment and work out the verification code."""
        pairing = self._find(pairing_id)
        if pairing.state != "introduced":
            raise ApiError(409, "already_revealed", "This pairing's nonce was already given.")
        if not hmac.compare_digest(commitment_of(nonce), pairing.device.commitment):
            del self._pairings[pairing_id]
            raise ApiError(
                403, "wrong_nonce", "The nonce does not fit its commitment; pair again from the start."
            )
        pairing.verification_code = verification_code(
            self._fingerprint, nonce, pairing.desk_nonce, pairing.device
        )
        pairing.state = "waiting"

    async def wait(self, pairing_id: str, seconds: float) -> tuple[str, str]:
        """(state, device id) of a pairing, waiting up to `seconds` for the user's decision."""
        pairing = self._find(pairing_id)
        if pairing.state in ("introduced", "waiting") and seconds > 0:
            try:
                await asyncio.wait_for(pairing.changed.wait(), min(seconds, pairing.deadline - self._clock()))
            except TimeoutError:
                self._find(pairing_id)
        return ("waiting" if pairing.state == "introduced" else pairing.state), pairing.device_id

    def pending(self) -> list[PendingDevice]:
        """Devices that wait for the user's decision."""
        self._drop_expired()
        return [
            PendingDevice(
                item.device_id,
                item.device.name,
                item.device.kind,
                item.verification_code,
                item.remote_address,
                item.expires_at,
            )
            for item in self._pairings.values()
            if item.state == "waiting"
        ]

    def waiting(self, device_id: str) -> Introduction:
        """The introduction of a device that waits; raises BridgeError when there is none by this id."""
        return self._waiting(device_id).device

    def settle(self, device_id: str, *, confirmed: bool) -> None:
        """Tell the device that polls for it what the user decided."""
        pairing = self._waiting(device_id)
        pairing.state = "confirmed" if confirmed else "refused"
        pairing.changed.set()

    def _waiting(self, device_id: str) -> _Pairing:
        self._drop_expired()
        for pairing in self._pairings.values():
            if pairing.device_id == device_id and pairing.state == "waiting":
                return pairing
        raise BridgeError(
            f"No device with id {device_id} waits to be paired; it took longer than three minutes or was "
            "decided already, so pair it again."
        )

    def _find(self, pairing_id: str) -> _Pairing:
        self._drop_expired()
        pairing = self._pairings.get(pairing_id)
        if pairing is None:
            raise ApiError(
                404, "not_found", "This pairing is unknown or has expired; pair again from the start."
            )
        return pairing

    def _drop_expired(self) -> None:
        now = self._clock()
        if self._offer is not None and now >= self._offer.deadline:
            self._offer = None
        for key in [key for key, item in self._pairings.items() if now >= item.deadline]:
            self._pairings.pop(key).changed.set()
