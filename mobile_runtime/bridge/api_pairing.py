"""Handlers of docs/protocol.md sections 3 to 5: trust, pairing and the device's own entry."""

from __future__ import annotations

import re

from aiohttp import web

from .errors import ApiError
from .guards import CORE, PROTOCOL, device_of, read_json
from .handshake import Introduction
from .plain import plain_name

KINDS = ("agent", "phone")
LONGEST_WAIT = 25


async def about(_request: web.Request) -> web.Response:
    """GET /v1/about."""
    return web.json_response({"app": "pocketvideo", "protocol": PROTOCOL})


async def certificate(request: web.Request) -> web.Response:
    """GET /v1/ca."""
    return web.Response(body=request.app[CORE].authority, content_type="application/pkix-cert")


async def introduce(request: web.Request) -> web.Response:
    """POST /v1/pairings."""
    fields = ("protocol", "name", "kind", "commitment", "token_sha256", "proof")
    body = await read_json(request, dict.fromkeys(fields, str))
    if body["protocol"].split(".")[0] != PROTOCOL.split(".")[0]:
        raise ApiError(
            400, "bad_request", f"This desk speaks protocol {PROTOCOL}, the device {body['protocol'][:8]}."
        )
    if body["kind"] not in KINDS:
        raise ApiError(400, "bad_request", f"A device's kind is one of {', '.join(KINDS)}.")
    for name in ("commitment", "token_sha256", "proof"):
        _hex(body[name], 64, name)
    device = Introduction(plain_name(body["name"]), body["kind"], body["commitment"], body["token_sha256"])
    core = request.app[CORE]
    pairing_id, desk_nonce, seconds = core.pairing.introduce(
        device, body["proof"], request.remote or "unknown"
    )
    return web.json_response(
        {
            "pairing_id": pairing_id,
            "desk_nonce": desk_nonce,
            "expires_in": round(seconds, 1),
            "desk": core.desk,
        },
        status=201,
    )


async def reveal(request: web.Request) -> web.Response:
    """POST /v1/pairings/{pairing_id}/reveal."""
    body = await read_json(request, {"nonce": str})
    _hex(body["nonce"], 32, "nonce")
    request.app[CORE].pairing.reveal(request.match_info["pairing_id"], bytes.fromhex(body["nonce"]))
    return web.json_response({"state": "waiting"})


async def pairing_state(request: web.Request) -> web.Response:
    """GET /v1/pairings/{pairing_id}."""
    core = request.app[CORE]
    state, device_id = await core.pairing.wait(request.match_info["pairing_id"], wait_seconds(request))
    answer = {"state": state}
    if state == "confirmed":
        answer["device_id"] = device_id
    return web.json_response(answer)


async def own_entry(request: web.Request) -> web.Response:
    """GET /v1/device."""
    device = device_of(request)
    return web.json_response({"device_id": device.device_id, "name": device.name, "kind": device.kind})


async def unpair(request: web.Request) -> web.Response:
    """DELETE /v1/device."""
    request.app[CORE].revoke(device_of(request).device_id)
    return web.Response(status=204)


def wait_seconds(request: web.Request) -> float:
    """The `wait` of a long poll, bounded by the limits."""
    text = request.query.get("wait", "0")
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", text) or float(text) > LONGEST_WAIT:
        raise ApiError(
            400, "bad_request", f"The wait of a poll is a number of seconds from 0 to {LONGEST_WAIT}."
        )
    return min(float(text), request.app[CORE].limits.longest_poll_seconds)


def _hex(text: str, length: int, name: str) -> None:
    if not re.fullmatch(rf"[0-9a-f]{{{length}}}", text):
        raise ApiError(400, "bad_request", f"The field {name} must be {length} lower-case hex digits.")
