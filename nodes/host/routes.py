"""The routes of ComfyUI's own page under /pocketvideo/v1 on ComfyUI's server (docs/desk-api.md).

Only the pairing offer passes here, good for one device and three minutes; no token ever does (T16, T20).
The bridge itself has its own port and its own origin.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ...desk.errors import DeskError
from ...desk.sends import is_expected
from .guard import refusal
from .route_actions import TABLE, Action, Check

logger = logging.getLogger(__name__)

PREFIX = "/pocketvideo/v1"
MAX_BODY = 4096
# A graph, and the editor's own file of it.
MAX_GRAPH_BODY = 2 * 1024 * 1024
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

JSON = dict[str, Any]


class _BadRequest(ValueError):
    """The request's body is not what the route takes."""


def add_routes(routes: web.RouteTableDef) -> None:
    """Put every route of the table on ComfyUI's server."""
    for method, path, action, fields in TABLE:
        routes.route(method, PREFIX + path)(_handler(action, fields))


def _handler(action: Action, fields: Mapping[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
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
            if not isinstance(error, DeskError) and not is_expected(error):
                logger.exception("PocketVideo's route %s failed", request.path)
                return _answer({"error": "PocketVideo failed; ComfyUI's log says where."}, 500)
            return _answer({"error": str(error)}, 409)

    return handle


async def _body(request: web.Request, fields: Mapping[str, Check]) -> JSON:
    """The JSON object of a request with no other than the known fields, each as its check wants it."""
    limit = MAX_GRAPH_BODY if "prompt" in fields else MAX_BODY
    raw = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        raw += chunk
        if len(raw) > limit:
            raise _BadRequest(f"The request has more than {limit} bytes.")
    try:
        body = json.loads(bytes(raw) or b"{}")
    except (ValueError, RecursionError) as error:
        raise _BadRequest("The request's body is not JSON.") from error
    if not isinstance(body, dict) or not set(body) <= set(fields):
        raise _BadRequest(f"The request's fields are not among: {', '.join(fields) or 'none'}.")
    wrong = next((name for name, value in body.items() if not fields[name](value)), None)
    if wrong is not None:
        raise _BadRequest(f"The request's field {wrong} is not what it should be: see docs/desk-api.md.")
    return body


def _answer(body: JSON, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers=HEADERS)
