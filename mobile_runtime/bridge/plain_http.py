"""The one page that plain HTTP gets (docs/protocol.md section 14): what this is and what to do.

Serves no route and believes nothing of the request but its Host header, and that only if it is on the list.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
import socket

from .pages import TEMPLATES

MAX_REQUEST = 8 * 1024
MAX_REST = 64 * 1024
SECONDS = 5.0


async def answer(connection: socket.socket, hosts: frozenset[str]) -> None:
    """Read one request head from a non-blocking `connection`, answer the page, and close it."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SECONDS):
            head = b""
            while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < MAX_REQUEST:
                chunk = await loop.sock_recv(connection, 2048)
                if not chunk:
                    return
                head += chunk
            await loop.sock_sendall(connection, page(head, hosts))
            connection.shutdown(socket.SHUT_WR)
            # Closing with unread bytes would reset the connection before the page is read.
            left = MAX_REST
            while left > 0 and (rest := await loop.sock_recv(connection, 4096)):
                left -= len(rest)
    except (OSError, TimeoutError):
        pass
    finally:
        with contextlib.suppress(OSError):
            connection.close()


def page(head: bytes, hosts: frozenset[str]) -> bytes:
    """The whole answer to a request that began with `head`."""
    match = re.search(rb"\r?\nhost:[ \t]*([^\r\n]{1,255}?)[ \t]*\r?\n", head, re.IGNORECASE)
    host = match[1].decode("ascii", "replace").lower() if match else ""
    # A name that is not the bridge's own is never repeated to the reader.
    link = ""
    if host in hosts:
        address = html.escape(f"https://{host}/")
        link = f'<p class="go"><a href="{address}">{address}</a></p>'
    body = (TEMPLATES / "plain.html").read_text(encoding="utf-8").replace("{{link}}", link).encode("utf-8")
    lines = [
        "HTTP/1.1 426 Upgrade Required",
        "Upgrade: TLS/1.3",
        "Connection: Upgrade, close",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
