"""GET /v1/socket: jobs, withdrawals and a device's words over one WebSocket (docs/protocol.md section 10)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from .api_jobs import EVENT_FIELDS, take_event
from .api_results import take_status
from .core import BridgeCore
from .errors import ApiError
from .guards import (
    CORE,
    KIB,
    PROTOCOL,
    SOCKET_PROTOCOL,
    check_fields,
    device_of,
    json_object,
    socket_protocols,
)
from .state import DeviceRecord
from .status import FIELDS

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 * KIB
MESSAGES_PER_SECOND = 50
FAREWELL_SECONDS = 2.0
CODES = {"stopping": int(WSCloseCode.GOING_AWAY), "revoked": 4401, "replaced": 4409}


async def socket(request: web.Request) -> web.StreamResponse:
    """GET /v1/socket."""
    core, device = request.app[CORE], device_of(request)
    stream = web.WebSocketResponse(
        protocols=(SOCKET_PROTOCOL,),
        heartbeat=core.limits.ping_seconds,
        max_msg_size=MAX_MESSAGE,
        compress=False,
        timeout=FAREWELL_SECONDS,
    )
    if SOCKET_PROTOCOL not in socket_protocols(request) or not stream.can_prepare(request).ok:
        raise ApiError(
            400, "bad_request", f"This route is a WebSocket with the sub-protocol {SOCKET_PROTOCOL}."
        )
    await stream.prepare(request)
    await DeviceSocket(core, device, stream).run()
    return stream


class DeviceSocket:
    """One open socket of one device; the newest one replaces an older one."""

    def __init__(self, core: BridgeCore, device: DeviceRecord, stream: web.WebSocketResponse) -> None:
        self._core, self._device, self._stream = core, device, stream
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._feeding: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._second, self._count = 0, 0

    def renamed(self, name: str) -> None:
        """Tell the device its new name."""
        self._tell(self._send({"type": "renamed", "name": name}))

    def end(self, reason: str) -> None:
        """Close: `revoked`, `stopping` or `replaced`."""
        if not self._end.done():
            self._end.set_result(reason)

    async def run(self) -> None:
        """Serve until one side ends it."""
        device_id = self._device.device_id
        older = self._core.sockets.get(device_id)
        if older is not None:
            older.end("replaced")
        self._core.sockets[device_id] = self
        if self._core.stopping:
            self.end("stopping")
        reading = asyncio.get_running_loop().create_task(self._read())
        try:
            either: set[asyncio.Future[Any]] = {reading, self._end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done():
                # Who still reads would take the other side's farewell away, and the close would be abrupt.
                await _cancel(reading, self._feeding)
                await self._farewell(self._end.result())
        finally:
            if self._core.sockets.get(device_id) is self:
                del self._core.sockets[device_id]
            await _cancel(reading, self._feeding, *self._telling)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._send(
                {
                    "type": "hello",
                    "protocol": PROTOCOL,
                    "device": {
                        "device_id": self._device.device_id,
                        "name": self._device.name,
                        "kind": self._device.kind,
                    },
                    "desk": self._core.desk,
                }
            )
            async for message in self._stream:
                # Its token may have died between two messages.
                self._core.still_paired(self._device)
                self._core.board.heard(self._device.device_id)
                self._device.last_seen = time.time()
                if not await self._take(message):
                    return

    async def _take(self, message: WSMessage) -> bool:
        """Do what one message says; False when it ended the connection."""
        if self._too_fast():
            await self._stream.close(code=4429, message=b"too many messages")
            return False
        if message.type is not WSMsgType.TEXT:
            await self._stream.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text only")
            return False
        try:
            answer = self._understand(message.data)
        except ApiError as error:
            await self._send({"type": "error", "error": {"code": error.code, "message": error.message}})
            await self._stream.close(code=4400, message=error.code.encode("ascii"))
            return False
        if answer is not None:
            await self._send(answer)
        return True

    def _understand(self, text: str) -> dict[str, Any] | None:
        """The reply to a message, if it has one; ApiError 400 for one that the protocol does not have."""
        body = json_object(text.encode("utf-8", "surrogatepass"), None)
        kind = body.pop("type", None)
        if kind == "ready":
            check_fields(body, {})
            if self._feeding is None or self._feeding.done():
                self._feeding = asyncio.get_running_loop().create_task(self._feed())
            return None
        if kind == "event":
            check_fields(body, {"job_id": str, **EVENT_FIELDS})
            return self._event(body)
        if kind == "status":
            check_fields(body, FIELDS)
            take_status(self._core, self._device, body)
            return None
        raise ApiError(400, "bad_request", "A message's type is ready, event or status.")

    def _event(self, body: dict[str, Any]) -> dict[str, Any] | None:
        job_id = body["job_id"]
        try:
            state = take_event(self._core, self._device.device_id, job_id, body)
        except ApiError as error:
            if error.status not in (404, 410):
                raise
            state = "over"
        return None if state == "active" else {"type": "cancel", "job_id": job_id[:64]}

    async def _feed(self) -> None:
        """Pass on jobs and withdrawals while the device takes them."""
        with contextlib.suppress(ConnectionError), self._core.board.subscribe(self._device.device_id) as feed:
            while (message := await feed.message()) is not None:
                await self._send(message)

    async def _farewell(self, reason: str) -> None:
        with contextlib.suppress(ConnectionError):
            if reason != "replaced":
                await self._send({"type": reason})
            await self._stream.close(code=CODES[reason], message=reason.encode("ascii"))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._stream.send_str(json.dumps(message))

    def _tell(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(ConnectionError):
                await work

        task = asyncio.get_running_loop().create_task(quietly())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _too_fast(self) -> bool:
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._count = now, 0
        self._count += 1
        return self._count > MESSAGES_PER_SECOND


async def _cancel(*tasks: asyncio.Task[None] | None) -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, Exception) and not isinstance(result, ApiError):
            log.error("PocketVideo's socket to a device failed.", exc_info=result)
