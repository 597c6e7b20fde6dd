"""Sending results that this device made alone to its desks, and going on where a transfer broke off."""

from __future__ import annotations

import logging

from .desk import Desk, pinned_context
from .errors import AgentError, DeskRefused
from .home import Home, Pairing
from .shelf import Made, Shelf

log = logging.getLogger(__name__)

# Refusals after which the same bytes can be sent again from where the desk says.
AGAIN = ("wrong_offset", "wrong_hash", "busy")
TRIES = 3


async def send_result(desk: Desk, desk_id: str, shelf: Shelf, made: Made) -> bool:
    """Bring one result to a desk; False if it has it already.

    Raises DeskUnreachable (a new call goes on where this one ended), DeskRefused or AgentError.
    """
    if desk_id in made.sent_to:
        return False
    for attempt in range(TRIES):
        state, received = await desk.announce_result(made.announcement())
        if state == "stored":
            break
        if not 0 <= received < made.bytes:
            raise AgentError("The desk has more of this result than there is; update the agent.")
        try:
            await desk.send_result(made.result_id, made.mime, shelf.path(made), made.bytes, received)
            break
        except DeskRefused as error:
            if error.code not in AGAIN or attempt + 1 == TRIES:
                raise
    shelf.mark_sent(made, desk_id)
    return True


async def send_all(desk: Desk, pairing: Pairing, home: Home) -> list[Made]:
    """Send every result that the desk lacks; the ones that arrived. One that the desk refuses is logged."""
    shelf = Shelf(home.results)
    sent = []
    for made in shelf.results():
        try:
            if await send_result(desk, pairing.desk_id, shelf, made):
                sent.append(made)
        except DeskRefused as error:
            if error.status == 401:
                raise
            log.warning("%s does not take %s: %s", pairing.desk_name, made.result_id[:8], error)
    return sent


async def send_chosen(home: Home, chosen: list[Made]) -> list[tuple[Made, Pairing]]:
    """Send these to every paired desk that lacks them; what went where. Raises as `send_result`."""
    sent = []
    for pairing in home.pairings():
        context = pinned_context(pairing.certificate)
        async with Desk(pairing.host, pairing.port, context, pairing.token) as desk:
            shelf = Shelf(home.results)
            for made in chosen:
                if await send_result(desk, pairing.desk_id, shelf, made):
                    sent.append((made, pairing))
    return sent
