"""The bridge's thread: an event loop, one listening socket, TLS, and an orderly end (T17, T21)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from .core import BridgeCore
from .errors import BridgeError
from .routes import make_app

log = logging.getLogger(__name__)

T = TypeVar("T")

CALL_SECONDS = 30.0


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
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
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
            self._socket.close()
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

        def connect() -> asyncio.Protocol:
            if len(serving.connections) >= limits.connections:
                return _Refusal()
            return serving()

        server = await self._loop.create_server(
            connect,
            sock=self._socket,
            ssl=self._context,
            ssl_handshake_timeout=10.0,
            ssl_shutdown_timeout=2.0,
        )
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            self._core.stopping = True
            self._core.board.close("the desk's bridge was stopped")
            server.close()
            transports = [handler.transport for handler in serving.connections]
            await runner.cleanup()
            # A farewell in TLS waits for the other side; the loop must not end before its sockets do.
            for transport in transports:
                if transport is not None:
                    transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)


class _Refusal(asyncio.Protocol):
    """What a connection beyond the limit gets: its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
