"""Pairing from the device's side: introduce, reveal, compare, wait (docs/protocol.md section 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from .desk import Desk, fetch_certificate, pinned_context
from .errors import AgentError, DeskRefused
from .handshake import Identity, Invitation
from .home import Home, Pairing

PROTOCOL = "1.0"


async def pair(
    home: Home,
    invitation: Invitation,
    name: str,
    show: Callable[[str], None],
    same_code: Callable[[str], bool],
) -> Pairing:
    """Pair this device with the desk of `invitation` and remember it in `home`.

    `show` gets the verification code; `same_code` asks this device's user whether the desk shows it too, and
    is called only where the authority was not pinned by a fingerprint. Raises AgentError with one sentence.
    """
    certificate = await fetch_certificate(invitation.host, invitation.port, invitation.fingerprint)
    fingerprint = hashlib.sha256(certificate).hexdigest()
    identity = Identity.draw(name)
    async with Desk(invitation.host, invitation.port, pinned_context(certificate), token=None) as desk:
        answer = await desk.introduce(
            {
                "protocol": PROTOCOL,
                "name": identity.name,
                "kind": identity.kind,
                "commitment": identity.commitment,
                "token_sha256": identity.token_sha256,
                "proof": identity.proof(invitation.key, fingerprint),
            }
        )
        try:
            pairing_id, desk_nonce = str(answer["pairing_id"]), str(answer["desk_nonce"])
            desk_name = str(answer["desk"]["name"])[:64]
        except (KeyError, TypeError):
            raise AgentError(
                "The desk's answer is not what this agent understands; update the agent."
            ) from None
        await desk.reveal(pairing_id, identity.nonce)
        code = identity.verification_code(fingerprint, desk_nonce)
        show(code)
        if not invitation.fingerprint and not same_code(code):
            raise AgentError("The codes differ, so someone may stand between; refuse the device at the desk.")
        device_id = await _decision(desk, pairing_id)
    pairing = Pairing(
        desk_id=fingerprint[:16],
        desk_name=desk_name,
        host=invitation.host,
        port=invitation.port,
        certificate=certificate,
        device_id=device_id,
        device_name=name,
        token=identity.token,
    )
    home.add(pairing)
    return pairing


async def _decision(desk: Desk, pairing_id: str) -> str:
    while True:
        try:
            answer = await desk.pairing_state(pairing_id)
        except DeskRefused as error:
            if error.status == 404:
                raise AgentError("Nobody confirmed this device at the desk in time; pair it again.") from None
            raise
        if answer.get("state") == "confirmed":
            return str(answer.get("device_id", ""))
        if answer.get("state") == "refused":
            raise AgentError("The desk's user refused this device.")
