"""Handlers of docs/protocol.md section 13: the app, the trust page and the authority's downloads."""

from __future__ import annotations

import asyncio
import hashlib
from typing import IO, Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from .errors import ApiError
from .guards import CORE, DOCUMENT
from .pages import TRUST_HEADERS, AppFile, Download, app_headers

# Slower than this, a reader only holds a connection.
SLOWEST_READER = 32 * 1024.0


async def home(request: web.Request) -> web.StreamResponse:
    """GET /: the app, or the trust page where no app is built."""
    index = request.app[CORE].pages.app.get("index.html")
    return await trust(request) if index is None else await _send(request, index)


async def app_file(request: web.Request) -> web.StreamResponse:
    """GET /{file}."""
    file = request.app[CORE].pages.app.get(request.match_info["file"])
    if file is None:
        raise ApiError(404, "not_found", "There is nothing at this address.")
    return await _send(request, file)


async def trust(request: web.Request) -> web.StreamResponse:
    """GET /trust."""
    page = request.app[CORE].pages.trust
    return web.Response(body=page, content_type="text/html", charset="utf-8", headers=TRUST_HEADERS)


async def style(request: web.Request) -> web.StreamResponse:
    """GET /trust.css."""
    return web.Response(
        body=request.app[CORE].pages.style,
        content_type="text/css",
        charset="utf-8",
        headers={"Cross-Origin-Resource-Policy": "same-origin"},
    )


async def certificate(request: web.Request) -> web.StreamResponse:
    """GET /ca.crt."""
    return _download(request.app[CORE].pages.certificate)


async def profile(request: web.Request) -> web.StreamResponse:
    """GET /ca.mobileconfig."""
    return _download(request.app[CORE].pages.profile)


async def openapi(request: web.Request) -> web.StreamResponse:
    """GET /v1/openapi.json."""
    return web.json_response(request.app[DOCUMENT])


async def _send(request: web.Request, file: AppFile) -> web.StreamResponse:
    headers = {
        **app_headers(request.headers["Host"].lower()),
        "Cache-Control": file.cache,
        "Content-Type": file.content_type,
    }
    if file.packed is not None:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("Accept-Encoding", "").lower():
            return _packed(request, file.packed, headers)
    response = _SentOnce(file.path, headers=headers, chunk_size=256 * 1024)
    limits = request.app[CORE].limits
    size = await asyncio.to_thread(_size, file)
    try:
        async with asyncio.timeout(limits.write_stall_seconds + size / SLOWEST_READER):
            await response.prepare(request)
    except TimeoutError:
        raise ConnectionResetError("the browser stopped reading") from None
    return response


def _packed(request: web.Request, body: bytes, headers: dict[str, str]) -> web.Response:
    """A text as gzip, or 304 to a browser that has it. It is public, so its length gives nothing away."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    known = any(one.value in (tag, "*") for one in request.if_none_match or ())
    response = web.Response(
        status=304 if known else 200,
        body=None if known else body,
        headers=headers if known else {**headers, "Content-Encoding": "gzip"},
    )
    response.etag = tag
    return response


class _SentOnce(web.FileResponse):
    """A file that the handler sends within its own time limit; the server prepares it once more."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        if self.prepared:
            return await web.StreamResponse.prepare(self, request)
        return await super().prepare(request)

    async def _sendfile(
        self, request: BaseRequest, fobj: IO[Any], offset: int, count: int
    ) -> AbstractStreamWriter:
        """In chunks, which over TLS asyncio's sendfile does as well, failing where a browser went away."""
        writer = await web.StreamResponse.prepare(self, request)
        if writer is None:
            raise ConnectionResetError("the browser went away")
        return await self._sendfile_fallback(writer, fobj, offset, count)


def _size(file: AppFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError:
        raise ApiError(404, "not_found", "This file of the app went away; start the bridge again.") from None


def _download(download: Download) -> web.Response:
    return web.Response(
        body=download.body,
        content_type=download.content_type,
        headers={"Content-Disposition": f'attachment; filename="{download.name}"'},
    )
