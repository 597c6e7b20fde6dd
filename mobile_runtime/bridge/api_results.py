"""Handlers of docs/protocol.md sections 11 and 12: a device's status, and results that it made alone."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from typing import Any

from aiohttp import web

from .core import BridgeCore
from .errors import ApiError
from .guards import CORE, body_chunks, device_of, read_json
from .plain import plain_line
from .results import SUFFIXES, Announced, Sender, Writing
from .state import DeviceRecord
from .status import FIELDS, DeviceStatus

MAX_RESULT = 256 * 1024 * 1024
RESULT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "result_id": str,
    "bundle_id": str,
    "name": str,
    "values": dict,
    "seconds": (int, float, type(None)),
    "mime": str,
    "bytes": int,
    "sha256": str,
}


async def put_status(request: web.Request) -> web.Response:
    """PUT /v1/device/status."""
    body = await read_json(request, FIELDS)
    take_status(request.app[CORE], device_of(request), body)
    return web.Response(status=204)


def take_status(core: BridgeCore, device: DeviceRecord, body: dict[str, Any]) -> None:
    """Keep what a device says of itself; ApiError 400 for a value out of bounds, 401 if it was revoked."""
    status = DeviceStatus.read(body)
    core.still_paired(device)
    core.state.set_status(device, status)


async def announce(request: web.Request) -> web.Response:
    """POST /v1/results."""
    device = device_of(request)
    result = _announced(await read_json(request, RESULT_FIELDS))
    request.app[CORE].still_paired(device)
    new, state, received = await asyncio.to_thread(
        request.app[CORE].results.announce, _sender(device), result
    )
    return web.json_response({"state": state, "received": received}, status=201 if new else 200)


async def receive(request: web.Request) -> web.Response:
    """PUT /v1/results/{result_id}."""
    core, device = request.app[CORE], device_of(request)
    length = request.content_length or 0
    part = _part(request.headers.get("Content-Range"), length)
    writing = core.results.open(_sender(device), request.match_info["result_id"], part, length)
    if writing is None:
        # Stored before: the device did not hear the answer. The body is read, so that it hears this one.
        async for _ in body_chunks(request):
            pass
        return web.Response(status=204)
    received = await _take(core, device, request, writing)
    if received is not None:
        return web.json_response({"state": "open", "received": received})
    core.deliver_results()
    return web.Response(status=204)


async def _take(core: BridgeCore, device: DeviceRecord, request: web.Request, writing: Writing) -> int | None:
    try:
        with contextlib.closing(writing):
            if request.content_type != writing.mime:
                raise ApiError(415, "wrong_type", f"This result was announced as {writing.mime}.")
            async for chunk in body_chunks(request):
                # One write at a time and none ahead: the body's back-pressure is the disk's pace.
                await asyncio.to_thread(writing.write, chunk)
            core.still_paired(device)
            return await asyncio.to_thread(writing.finish)
    finally:
        core.board.heard(device.device_id)


def _announced(body: dict[str, Any]) -> Announced:
    for name, length in (("result_id", 32), ("bundle_id", 64), ("sha256", 64)):
        if not re.fullmatch(rf"[0-9a-f]{{{length}}}", body[name]):
            raise _bad(f"The field {name} must be {length} lower-case hex digits.")
    name = plain_line(body["name"], 100)
    if not name or len(body["name"]) > 100:
        raise _bad("A result's name has 1 to 100 characters.")
    if body["mime"] not in SUFFIXES:
        raise _bad(f"A result's mime is one of {', '.join(SUFFIXES)}.")
    if not 1 <= body["bytes"] <= MAX_RESULT:
        raise _bad(f"A result has 1 to {MAX_RESULT} bytes.")
    seconds = None if body["seconds"] is None else float(body["seconds"])
    if seconds is not None and not (math.isfinite(seconds) and 0.0 <= seconds <= 1e9):
        raise _bad("The field seconds is null or what the run took.")
    return Announced(
        body["result_id"],
        body["bundle_id"],
        name,
        body["values"],
        seconds,
        body["mime"],
        body["bytes"],
        body["sha256"],
    )


def _part(header: str | None, length: int) -> tuple[int, int] | None:
    """First byte and total of a partial body; ApiError 400 for a range that the body does not fit."""
    if header is None:
        return None
    match = re.fullmatch(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})", header)
    if match is None or int(match[2]) - int(match[1]) + 1 != length or int(match[2]) >= int(match[3]):
        raise _bad("The Content-Range does not fit the body; it reads bytes FIRST-LAST/TOTAL.")
    return int(match[1]), int(match[3])


def _sender(device: DeviceRecord) -> Sender:
    return Sender(device.device_id, device.name, device.kind)


def _bad(message: str) -> ApiError:
    return ApiError(400, "bad_request", message)
