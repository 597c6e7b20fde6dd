"""The websocket of a running ComfyUI as a plain queue of events, for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import json
import queue
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp

PREVIEW_IMAGE = 1
PROGRESS_TEXT = 3
PREVIEW_IMAGE_WITH_METADATA = 4
CONNECT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Event:
    """One message of the host. A preview frame has type `preview` and its encoded picture in `payload`."""

    type: str
    data: dict[str, Any]
    payload: bytes = field(default=b"", repr=False)


def parse_binary(message: bytes) -> Event:
    """Read a binary frame: a big-endian kind, then a preview picture or a node's line of text."""
    (kind,) = struct.unpack_from(">I", message)
    if kind == PREVIEW_IMAGE_WITH_METADATA:
        (length,) = struct.unpack_from(">I", message, 4)
        return Event("preview", json.loads(message[8 : 8 + length]), message[8 + length :])
    if kind == PREVIEW_IMAGE:
        return Event("preview", {}, message[8:])
    if kind == PROGRESS_TEXT:
        (length,) = struct.unpack_from(">I", message, 4)
        node, text = message[8 : 8 + length].decode(), message[8 + length :].decode(errors="replace")
        return Event("progress_text", {"node": node, "text": text})
    return Event(f"binary_{kind}", {}, message[4:])


class EventStream:
    """The events of one client id, in order, from entering the `with` block to leaving it."""

    def __init__(self, url: str, client_id: str) -> None:
        self._address = f"{url.replace('http', 'ws', 1)}/ws?clientId={client_id}"
        self._events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._connected = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="comfyui-events", daemon=True)

    def __enter__(self) -> EventStream:
        self._thread.start()
        if not self._connected.wait(CONNECT_TIMEOUT):
            raise TimeoutError(f"the host did not open a websocket within {CONNECT_TIMEOUT:.0f} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def next(self, timeout: float) -> Event | None:
        """The next event, or None after `timeout` seconds. Raises what broke the connection."""
        try:
            item = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        return item

    def _run(self) -> None:
        asyncio.run(self._receive())

    async def _receive(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(self._address, max_msg_size=0) as socket,
            ):
                # Asking for metadata tells which node a preview belongs to.
                await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
                self._connected.set()
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        body = json.loads(message.data)
                        self._events.put(Event(body["type"], body.get("data") or {}))
                    elif message.type is aiohttp.WSMsgType.BINARY:
                        self._events.put(parse_binary(message.data))
                self._events.put(ConnectionError("the host closed its websocket"))
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self._events.put(error)
        finally:
            self._connected.set()


def in_order(wanted: list[str], heard: list[str]) -> bool:
    """Whether every wanted line was heard, in this order, with whatever between."""
    rest = iter(heard)
    return all(line in rest for line in wanted)
