"""Pairing from ComfyUI's own page: routes under /pocketvideo/v1 on ComfyUI's server.

Only the pairing offer passes here, good for one device and three minutes; no token ever does (T16, T20).
The bridge itself has its own port and its own origin.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from . import desk
from .guard import refusal

logger = logging.getLogger(__name__)

PREFIX = "/pocketvideo/v1"
MAX_BODY = 4096
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

JSON = dict[str, Any]
Action = Callable[[JSON], JSON]


class _BadRequest(ValueError):
    """The request's body is not what the route takes."""


def add_routes(routes: web.RouteTableDef) -> None:
    """Put every route of the table on ComfyUI's server."""
    for method, path, action, fields in TABLE:
        routes.route(method, PREFIX + path)(_handler(action, fields))


def _handler(action: Action, fields: tuple[str, ...]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        reason = refusal(request.method, request.headers)
        if reason is not None:
            return _answer({"error": reason}, 403)
        try:
            body = await _body(request, fields) if request.method != "GET" else {}
        except _BadRequest as error:
            return _answer({"error": str(error)}, 400)
        try:
            # The bridge's calls wait for its own thread, and the first one makes keys.
            return _answer(await asyncio.to_thread(action, body))
        except Exception as error:
            if not _is_expected(error):
                logger.exception("PocketVideo's route %s failed", request.path)
                return _answer({"error": "PocketVideo failed; ComfyUI's log says where."}, 500)
            return _answer({"error": str(error)}, 409)

    return handle


def _is_expected(error: Exception) -> bool:
    if isinstance(error, desk.DeskError):
        return True
    from ...mobile_runtime.bridge import BridgeError

    return isinstance(error, BridgeError)


async def _body(request: web.Request, fields: tuple[str, ...]) -> JSON:
    """The JSON object of a request with no other than the known fields, all text."""
    raw = await request.content.read(MAX_BODY + 1)
    if len(raw) > MAX_BODY:
        raise _BadRequest(f"The request has more than {MAX_BODY} bytes.")
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise _BadRequest("The request's body is not JSON.") from error
    if not isinstance(body, dict) or not set(body) <= set(fields):
        raise _BadRequest(f"The request's fields are not among: {', '.join(fields) or 'none'}.")
    if not all(isinstance(value, str) and len(value) <= 200 for value in body.values()):
        raise _BadRequest("The request's fields are not short texts.")
    return body


def _answer(body: JSON, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers=HEADERS)


def _pair(body: JSON) -> JSON:
    offer = desk.bridge(body.get("address")).begin_pairing()
    return asdict(offer)


def _cancel(body: JSON) -> JSON:
    desk.bridge().cancel_pairing()
    return {}


def _pending(body: JSON) -> JSON:
    return {"pending": [asdict(device) for device in desk.bridge().pending()]}


def _confirm(body: JSON) -> JSON:
    return {"device": asdict(desk.bridge().confirm(_device(body)))}


def _refuse(body: JSON) -> JSON:
    desk.bridge().refuse(_device(body))
    return {}


def _devices(body: JSON) -> JSON:
    bridge = desk.bridge()
    return {
        "devices": [asdict(device) for device in bridge.devices()],
        "address": bridge.address,
        "addresses": desk.local_addresses(),
    }


def _revoke(body: JSON) -> JSON:
    desk.bridge().revoke(_device(body))
    return {}


def _device(body: JSON) -> str:
    device_id = body.get("device_id")
    if not device_id:
        raise desk.DeskError("The request names no device: choose one from the list.")
    return str(device_id)


TABLE: tuple[tuple[str, str, Action, tuple[str, ...]], ...] = (
    ("GET", "/devices", _devices, ()),
    ("GET", "/pending", _pending, ()),
    ("POST", "/pair", _pair, ("address",)),
    ("POST", "/pair/cancel", _cancel, ()),
    ("POST", "/confirm", _confirm, ("device_id",)),
    ("POST", "/refuse", _refuse, ("device_id",)),
    ("POST", "/revoke", _revoke, ("device_id",)),
)
