"""Handlers of docs/protocol.md section 7: manifests, and files by hash, in ranges and counted (T7, T12)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from typing import BinaryIO

from aiohttp import web

from .errors import ApiError
from .guards import CORE, device_of

# Read in one go while the piece before is on its way: two of them are what one transfer holds here.
PIECE = 512 * 1024
# Handed to TLS in one go: small enough for a core's cache.
CHUNK = 256 * 1024


async def manifest(request: web.Request) -> web.Response:
    """GET /v1/bundles/{bundle_id}/manifest."""
    offer = request.app[CORE].board.offer(device_of(request).device_id, request.match_info["bundle_id"])
    return web.Response(body=offer.manifest, content_type="application/json")


async def blob(request: web.Request) -> web.StreamResponse:
    """GET /v1/blobs/{sha256}."""
    core, device = request.app[CORE], device_of(request)
    offered = core.board.blob(device.device_id, request.match_info["sha256"])
    first, last = byte_range(request.headers.get("Range"), offered.size)
    traffic, key = core.traffic, (device.device_id, offered.sha256)
    if traffic.open_transfers[device.device_id] >= core.limits.transfers_per_device:
        raise ApiError(
            429,
            "busy",
            f"This device has {core.limits.transfers_per_device} transfers open, which is the limit.",
        )
    length = last - first + 1
    response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
    response.content_type = "application/octet-stream"
    response.content_length = length
    response.headers["Accept-Ranges"] = "bytes"
    if response.status == 206:
        response.headers["Content-Range"] = f"bytes {first}-{last}/{offered.size}"
    traffic.open_transfers[device.device_id] += 1
    traffic.requests[key] += 1
    try:
        with offered.open() as file:
            file.seek(first)
            await response.prepare(request)
            bandwidth = core.limits.bandwidth
            size = CHUNK if bandwidth is None else max(1024, min(CHUNK, int(bandwidth / 20)))
            async with contextlib.aclosing(_pieces(file, length)) as pieces:
                async for piece in pieces:
                    for start in range(0, len(piece), size):
                        chunk = piece[start : start + size]
                        # Returns when little of it is left to send, so a slow device holds no memory here.
                        async with asyncio.timeout(core.limits.write_stall_seconds):
                            await response.write(chunk)
                        traffic.bytes[key] += len(chunk)
                        core.board.moved(device.device_id)
                        if bandwidth is not None:
                            await asyncio.sleep(len(chunk) / bandwidth)
        await response.write_eof()
    except TimeoutError:
        raise ConnectionResetError("the device stopped reading") from None
    finally:
        traffic.open_transfers[device.device_id] -= 1
    return response


async def _pieces(file: BinaryIO, length: int) -> AsyncGenerator[memoryview, None]:
    """`length` bytes of a file in pieces, each read in a worker thread while the one before is used.

    A cold disk must not stall the other devices. Raises ConnectionResetError if the file became shorter.
    """
    reading = asyncio.create_task(asyncio.to_thread(file.read, min(PIECE, length)))
    try:
        while length > 0:
            piece = await reading
            if not piece:
                raise ConnectionResetError("a file became shorter while it was sent")
            length -= len(piece)
            reading = asyncio.create_task(asyncio.to_thread(file.read, min(PIECE, length)))
            yield memoryview(piece)
    finally:
        # The thread must be done with the file before it is closed.
        await asyncio.gather(reading, return_exceptions=True)


def byte_range(header: str | None, size: int) -> tuple[int, int]:
    """First and last byte that a Range header asks for, both included; ApiError 416 for anything else."""
    if header is None:
        return 0, size - 1
    match = re.fullmatch(r"bytes=([0-9]{1,18})-([0-9]{0,18})", header)
    first = int(match[1]) if match else size
    last = min(int(match[2]), size - 1) if match and match[2] else size - 1
    if first >= size or last < first:
        raise ApiError(416, "bad_range", f"The file has {size} bytes.", {"Content-Range": f"bytes */{size}"})
    return first, last
