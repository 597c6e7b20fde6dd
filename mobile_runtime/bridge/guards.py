"""What every request passes before a handler sees it (docs/protocol.md section 1; T1, T2, T3, T17).

`shield` is the middleware for all requests (host, origin, errors); `guarded` wraps one route's handler
with what the route table says of it (paired or public, body kind and limit).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from aiohttp import web

from .core import BridgeCore
from .errors import ApiError
from .state import DeviceRecord

log = logging.getLogger(__name__)

CORE: web.AppKey[BridgeCore] = web.AppKey("core", BridgeCore)
DOCUMENT: web.AppKey[dict[str, Any]] = web.AppKey("document", dict)
MAX_JSON_DEPTH = 16
KIB = 1024

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
# What an answer gets that says nothing of its own; the pages do.
STRICT_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}

PROTOCOL = "1.1"
SOCKET_PROTOCOL = "pocketvideo.v1"
TOKEN_PROTOCOL = "bearer."


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "public"
    PAIRED = "paired"


@dataclass(frozen=True)
class Route:
    """One row of the route table; `body` is the required content type ("" for none), `limit` its bytes.

    `also` are further content types; `socket` marks the one that is upgraded to a WebSocket; `query` has
    the names that its query may have.
    """

    method: str
    path: str
    access: Access
    handler: Handler
    body: str = ""
    limit: int = 0
    also: tuple[str, ...] = ()
    socket: bool = False
    query: tuple[str, ...] = ()


@web.middleware
async def shield(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Host and origin first, then the handler; every failure becomes a JSON error."""
    try:
        _check_host(request)
        _check_origin(request)
        if request.app[CORE].stopping:
            raise ApiError(503, "stopping", "The desk's bridge is shutting down; reconnect later.")
        return await handler(request)
    except ApiError as error:
        return error_response(error, request)
    except web.HTTPException as error:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status, "bad_request")
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        refused = ApiError(error.status, code, f"{error.reason}: see docs/protocol.md.", allowed)
        return error_response(refused, request)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        # The path holds ids only, never a secret.
        log.exception("PocketVideo's bridge failed at %s %s.", request.method, request.path)
        return error_response(ApiError(500, "internal", "The bridge failed; see ComfyUI's log."), request)


def guarded(route: Route) -> Handler:
    """`route`'s handler behind its authentication and body rules."""

    async def handle(request: web.Request) -> web.StreamResponse:
        core = request.app[CORE]
        if route.access is Access.PUBLIC:
            _check_query(request, route)
            _check_body(request, route)
            return await route.handler(request)
        device = core.authenticate(bearer_token(request, in_protocols=route.socket))
        if route.socket and "Origin" not in request.headers:
            raise _wrong_origin()
        _check_query(request, route)
        _check_body(request, route)
        core.enter(device, request)
        try:
            return await route.handler(request)
        finally:
            core.leave(request)

    return handle


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: headers that every answer carries."""
    response.headers.update(HEADERS)
    for name, value in STRICT_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)


def bearer_token(request: web.Request, *, in_protocols: bool) -> str:
    """The token that a request carries, or ""; a browser's WebSocket can send it as a sub-protocol only."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    if in_protocols:
        for offered in socket_protocols(request):
            if offered.startswith(TOKEN_PROTOCOL):
                return offered.removeprefix(TOKEN_PROTOCOL)
    return ""


def socket_protocols(request: web.Request) -> list[str]:
    """The sub-protocols that a WebSocket handshake offers."""
    lines = request.headers.getall("Sec-WebSocket-Protocol", [])
    return [item.strip() for line in lines for item in line.split(",")]


def device_of(request: web.Request) -> DeviceRecord:
    """The authenticated device of a paired route."""
    return request.app[CORE].device_of(request)


def error_response(error: ApiError, request: web.Request) -> web.Response:
    """The protocol's error body; closes the connection if the request's body was not read."""
    response = web.json_response(
        {"error": {"code": error.code, "message": error.message}}, status=error.status, headers=error.headers
    )
    if request.can_read_body:
        response.force_close()
    return response


async def body_chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body, whose length `guarded` checked, as it comes; ApiError 408 too slowly, 400 too short."""
    limits = request.app[CORE].limits
    length = request.content_length or 0
    received = 0
    try:
        async with asyncio.timeout(limits.body_idle_seconds + length / limits.slowest_body):
            while received < length:
                chunk = await asyncio.wait_for(request.content.readany(), limits.body_idle_seconds)
                if not chunk:
                    break
                received += len(chunk)
                yield chunk
    except TimeoutError:
        raise ApiError(408, "timeout", "The request's body came too slowly.") from None
    if received != length:
        raise ApiError(400, "bad_request", f"The body has {received} bytes, not the {length} announced.")


async def read_body(request: web.Request) -> bytearray:
    """The whole body; ApiError as of `body_chunks`."""
    body = bytearray()
    async for chunk in body_chunks(request):
        body += chunk
    return body


Fields: TypeAlias = dict[str, type | tuple[type, ...]]


async def read_json(request: web.Request, fields: Fields) -> dict[str, Any]:
    """The body as an object with exactly `fields`, each of the type given; else ApiError 400."""
    return json_object(bytes(await read_body(request)), fields)


def json_object(data: bytes, fields: Fields | None) -> dict[str, Any]:
    """`data` as an object with exactly `fields` (None: any), each of the type given; else ApiError 400."""
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
        _check_depth(document, MAX_JSON_DEPTH)
    except (ValueError, RecursionError):
        raise ApiError(400, "bad_request", "The body is not plain JSON of at most 16 levels.") from None
    if not isinstance(document, dict):
        raise ApiError(400, "bad_request", "The body must be a JSON object.")
    if fields is not None:
        check_fields(document, fields)
    return document


def check_fields(document: dict[str, Any], fields: Fields) -> None:
    """ApiError 400 unless the object has exactly `fields`, each of the type given."""
    if set(document) != set(fields):
        raise ApiError(400, "bad_request", f"The body must be a JSON object of {', '.join(sorted(fields))}.")
    for name, kind in fields.items():
        # bool is an int to Python, and not a number to the protocol.
        if not isinstance(document[name], kind) or (isinstance(document[name], bool) and kind is not bool):
            raise ApiError(400, "bad_request", f"The field {name} has the wrong type.")


def _check_host(request: web.Request) -> None:
    host = request.headers.get("Host", "")
    if host.lower() not in request.app[CORE].hosts:
        raise ApiError(421, "wrong_host", f"This bridge does not answer for the host name {host[:100]!r}.")


def _check_origin(request: web.Request) -> None:
    origins = request.headers.getall("Origin", [])
    if not origins and request.method in ("GET", "HEAD"):
        return
    if len(origins) != 1 or origins[0].lower() != f"https://{request.headers.get('Host', '').lower()}":
        raise _wrong_origin()


def _wrong_origin() -> ApiError:
    return ApiError(403, "wrong_origin", "This request comes from another origin than the bridge's own.")


def _check_query(request: web.Request, route: Route) -> None:
    names = [name for name, _ in request.query.items()]
    # A page's address may carry what browsers and launchers add to it; no page reads it.
    if route.path.startswith("/v1/") and (set(names) - set(route.query) or len(set(names)) < len(names)):
        raise ApiError(400, "bad_request", "The address has a query that this route does not take.")


def _check_body(request: web.Request, route: Route) -> None:
    if "Content-Encoding" in request.headers:
        raise ApiError(415, "wrong_type", "Compressed bodies are not accepted.")
    length = request.content_length
    if not route.body:
        if length or "Transfer-Encoding" in request.headers:
            raise ApiError(413, "too_large", "This route takes no body.")
        return
    if length is None or "Transfer-Encoding" in request.headers:
        raise ApiError(411, "length_required", "The request needs a Content-Length.")
    if length > route.limit:
        raise ApiError(413, "too_large", f"The body has {length} bytes; this route takes {route.limit}.")
    if request.content_type not in (route.body, *route.also):
        raise ApiError(415, "wrong_type", f"This route takes {route.body}.")


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if left == 0:
            raise ValueError("too deep")
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, left - 1)


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
