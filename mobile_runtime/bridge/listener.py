"""The bridge's thread: an event loop, one listening socket, TLS, and an orderly end (T17, T21).

A connection's first byte decides (docs/protocol.md section 14): TLS goes to the bridge, anything else gets
the one page of `plain_http`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from . import plain_http
from .core import BridgeCore
from .errors import BridgeError
from .routes import make_app

log = logging.getLogger(__name__)

T = TypeVar("T")

CALL_SECONDS = 30.0
FIRST_BYTE_SECONDS = 10.0
HANDSHAKE_SECONDS = 10.0
# RFC 8446 section 5.1: the record type of a handshake.
TLS_HANDSHAKE = b"\x16"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on one interface; BridgeError for a wildcard address or a port in use."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BridgeError(
            f"The bridge cannot listen on {host!r}: {error}; give this computer's address."
        ) from error
    # "Every interface" would open the bridge to networks that the user did not think of (T3).
    if not host or ipaddress.ip_address(str(address[0]).partition("%")[0]).is_unspecified:
        raise BridgeError(
            f"The bridge does not listen on every interface ({host!r}); give one address to use."
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise BridgeError(
            f"The bridge cannot listen on {host}:{port}: {error.strerror or error}; choose another."
        ) from error
    return listener


class Listener:
    """Serves one core on one socket until `stop`; made and stopped by `Bridge`."""

    def __init__(self, core: BridgeCore, listener: socket.socket, context: ssl.SSLContext) -> None:
        self._core = core
        self._socket = listener
        self._context = context
        # Windows' default loop cannot wait for a byte without taking it.
        self._loop = asyncio.SelectorEventLoop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        # A daemon thread, so that a hanging transfer cannot keep Python alive; Bridge stops it at exit.
        self._thread = threading.Thread(target=self._main, name="pocketvideo-bridge", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until it serves."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise BridgeError(f"The bridge did not start: {self._failure}.") from self._failure

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work`, which is short, on the bridge's loop and return its result."""
        # The time limit matters only when the loop ends between the check and the call.
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def stop(self) -> None:
        """End polls, jobs and connections, close the socket, and wait for the thread."""
        if self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
            log.exception("PocketVideo's bridge stopped by an error.")
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            # A handshake that was cut short leaves its transport half closed, and nobody else knows of it.
            for connection in [self._socket, *self._connections]:
                connection.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        limits = self._core.limits
        runner = web.AppRunner(
            make_app(self._core),
            access_log=None,  # nothing secret may slip into a log (T16)
            handler_cancellation=True,  # a device that hangs up must not look connected
            keepalive_timeout=limits.first_request_seconds,
            lingering_time=2.0,  # a refused body is read on for so long, that the refusal can be read
            shutdown_timeout=2.0,
        )
        await runner.setup()
        serving = runner.server
        assert serving is not None
        accepting = self._loop.create_task(self._accept(serving))
        self._ready.set()
        self._core.deliver_results()
        try:
            await self._stop.wait()
        finally:
            accepting.cancel()
            self._core.close()
            for task in self._arriving:
                task.cancel()
            await asyncio.gather(accepting, *self._arriving, return_exceptions=True)
            self._socket.close()
            transports = [handler.transport for handler in serving.connections]
            await runner.cleanup()
            # A farewell in TLS waits for the other side; the loop must not end before its sockets do.
            for transport in transports:
                if transport is not None:
                    transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)

    async def _accept(self, serving: web.Server) -> None:
        """Take connections as they come; those beyond the limit are closed at once (T17)."""
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._socket)
            except OSError as error:
                # Out of descriptors, or a connection that ended before it was taken: neither is an end.
                log.warning("PocketVideo's bridge could not take a connection: %s.", error)
                await asyncio.sleep(0.5)
                continue
            if len(serving.connections) + len(self._arriving) >= self._core.limits.connections:
                connection.close()
                continue
            connection.setblocking(False)
            self._connections.add(connection)
            task = self._loop.create_task(self._welcome(connection, serving))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _welcome(self, connection: socket.socket, serving: web.Server) -> None:
        handed_over = False
        try:
            async with asyncio.timeout(FIRST_BYTE_SECONDS):
                first = await self._first_byte(connection)
            if first == TLS_HANDSHAKE:
                handed_over = True
                await self._loop.connect_accepted_socket(
                    serving,
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=2.0,
                )
            elif first:
                await plain_http.answer(connection, self._core.hosts)
        except (OSError, TimeoutError) as error:
            # Strangers' connections end in many ways, none of which is the user's concern.
            log.debug("A connection to PocketVideo's bridge ended early: %s.", error)
        finally:
            if not handed_over:
                connection.close()

    async def _first_byte(self, connection: socket.socket) -> bytes:
        """The first byte, left where it is; empty when the other side closed instead."""
        readable = self._loop.create_future()

        def ready() -> None:
            if not readable.done():
                readable.set_result(None)

        descriptor = connection.fileno()
        self._loop.add_reader(descriptor, ready)
        try:
            await readable
        finally:
            self._loop.remove_reader(descriptor)
        return connection.recv(1, socket.MSG_PEEK)
