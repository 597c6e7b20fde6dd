"""One connection that carries files, blocking, in a thread of its own.

Bundles are large, and an event loop copies every byte five times on its way from TLS to a file. Here OpenSSL
decrypts into one buffer, from which the bytes are hashed and written; none of it holds Python's lock. The
files of docs/protocol.md section 7 come this way, everything else by `Desk`.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from .errors import AgentError, DeskRefused, DeskUnreachable, certificate_trouble

CONNECT_SECONDS = 10.0
# A transfer may be slow, but a connection that stays silent this long is dead.
SILENCE_SECONDS = 30.0
# On a slow network what has come is written after this time, so that a kill loses next to nothing.
PAUSE_SECONDS = 0.05
# Small enough to stay in a core's cache from decryption to hash to file.
BUFFER = 256 * 1024
MAX_HEAD = 32 * 1024
MAX_REFUSAL = 64 * 1024
# Refusals that end by themselves; trying again later is right.
PASSING = ("busy", "stopping")

Sink = Callable[[memoryview], None]


class Lane:
    """A kept-alive connection to one desk; `get` in one thread, `stop` from any other."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, token: str | None) -> None:
        self._host, self._port, self._context = host, port, context
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._token = token
        self._lock = threading.Lock()
        self._socket: ssl.SSLSocket | None = None
        self._buffer = memoryview(bytearray(BUFFER))
        self._stopped = False

    def get(self, path: str, offset: int, size: int, sink: Sink) -> None:
        """Pass the bytes `offset` to `size` of a file to `sink`, a view at a time, valid in that call only.

        Raises DeskUnreachable, DeskRefused, AgentError, and what `sink` raises; the connection then closes.
        """
        try:
            self._get(path, offset, size, sink)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise certificate_trouble(self._address, error) from error
            raise DeskUnreachable(
                f"The desk at {self._address} does not answer ({_reason(error)})."
            ) from error
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End a transfer that runs in another thread, and refuse any further one."""
        with self._lock:
            self._stopped = True
            if self._socket is not None:
                with suppress(OSError):
                    # The class's own method would also take TLS away from under the other thread's feet.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next `get` opens another."""
        with self._lock:
            connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _get(self, path: str, offset: int, size: int, sink: Sink) -> None:
        connection = self._connected()
        lines = [f"GET {path} HTTP/1.1", f"Host: {self._address}"]
        if self._token is not None:
            lines.append(f"Authorization: Bearer {self._token}")
        if offset:
            lines.append(f"Range: bytes={offset}-")
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        status, headers, start, filled = self._head(connection)
        length = int(headers.get("Content-Length", "-1"))
        if status not in (200, 206):
            self._refuse(connection, status, length, start, filled)
        if (status == 206) != bool(offset):
            raise AgentError("The desk does not resume transfers, which its protocol asks of it; update it.")
        if offset and not headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            raise AgentError("The desk answered another range than the one asked for; update the agent.")
        if length != size - offset:
            raise AgentError(
                f"The desk sends {length} bytes of a file where its manifest lists {size - offset};"
                " send the job again."
            )
        left = length - (filled - start)
        if left < 0:
            raise http.client.HTTPException("more bytes than announced")
        if left == 0:
            sink(self._buffer[start:filled])
        try:
            self._body(connection, left, start, filled, sink)
        finally:
            connection.settimeout(SILENCE_SECONDS)
        if headers.get("Connection", "").lower() == "close":
            self.close()

    def _body(self, connection: ssl.SSLSocket, left: int, start: int, filled: int, sink: Sink) -> None:
        """Read `left` more bytes; what came is passed on when the buffer is full, old, or nothing follows."""
        connection.settimeout(PAUSE_SECONDS)
        heard = passed = time.monotonic()
        while left > 0:
            try:
                count = connection.recv_into(self._buffer[filled : filled + left])
                heard = time.monotonic()
            except TimeoutError:
                count = 0
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise
            else:
                if count == 0:
                    if filled > start:
                        sink(self._buffer[start:filled])
                    raise ConnectionResetError("the desk hung up")
            filled += count
            left -= count
            quiet = count == 0 or heard - passed > PAUSE_SECONDS
            if filled > start and (left == 0 or filled == BUFFER or quiet):
                sink(self._buffer[start:filled])
                start = filled = 0
                passed = heard

    def _connected(self) -> ssl.SSLSocket:
        with self._lock:
            if self._stopped:
                raise DeskUnreachable("The transfer was stopped.")
            if self._socket is not None:
                return self._socket
        plain = socket.create_connection((self._host, self._port), CONNECT_SECONDS)
        try:
            connection = self._context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise
        connection.settimeout(SILENCE_SECONDS)
        with self._lock:
            self._socket = connection
            if self._stopped:
                raise DeskUnreachable("The transfer was stopped.")
        return connection

    def _head(self, connection: ssl.SSLSocket) -> tuple[int, http.client.HTTPMessage, int, int]:
        """Status, headers, and where in the buffer the body's first bytes begin and end."""
        filled = 0
        while (end := bytes(self._buffer[:filled]).find(b"\r\n\r\n")) < 0:
            if filled >= MAX_HEAD:
                raise http.client.HTTPException("an endless header")
            count = connection.recv_into(self._buffer[filled : filled + MAX_HEAD])
            if count == 0:
                raise ConnectionResetError("the desk hung up")
            filled += count
        lines = io.BytesIO(bytes(self._buffer[: end + 4]))
        version, _, rest = lines.readline().decode("latin-1").partition(" ")
        status = rest[:3]
        if not version.startswith("HTTP/1.") or not status.isdigit():
            raise http.client.HTTPException("no HTTP")
        return int(status), http.client.parse_headers(lines), end + 4, filled

    def _refuse(self, connection: ssl.SSLSocket, status: int, length: int, start: int, filled: int) -> None:
        body = bytearray(self._buffer[start:filled])
        while len(body) < min(length, MAX_REFUSAL) and (more := connection.recv(MAX_REFUSAL)):
            body += more
        raise refusal_of(status, bytes(body))


def refusal_of(status: int, body: bytes) -> DeskRefused | DeskUnreachable:
    """The error that an answer of the desk stands for; DeskUnreachable for one that ends by itself."""
    try:
        error = json.loads(body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        code, message = "unknown", f"The desk answered {status}."
    return DeskUnreachable(message) if code in PASSING else DeskRefused(status, code, message)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
