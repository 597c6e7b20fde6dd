"""A desk that misbehaves: the device believes nothing it was not promised (T12, T13, T17)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from comfyui_pocketvideo.mobile_runtime.agent import desk as desk_module
from comfyui_pocketvideo.mobile_runtime.agent.desk import Desk, pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError, DeskRefused, DeskUnreachable
from comfyui_pocketvideo.mobile_runtime.bridge.authority import load_authority, server_context

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def hostile(folder: Path, answer: Answer, *, names: tuple[str, ...] = ()) -> AsyncIterator[Desk]:
    """A desk with a good certificate whose every answer is `answer`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    authority = load_authority(folder)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(folder, names))
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with Desk("127.0.0.1", port, pinned_context(authority.certificate), "0" * 64) as desk:
            yield desk
    finally:
        await runner.cleanup()


def says(value: Any, status: int = 200) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = value if isinstance(value, bytes) else json.dumps(value).encode("utf-8")
        return web.Response(status=status, body=body, content_type="application/json")

    return answer


async def test_t13_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("https://127.0.0.1:1/elsewhere")

    async with hostile(tmp_path, answer) as desk:
        with pytest.raises(DeskRefused) as caught:
            await desk.next_job()
    assert caught.value.status == 307 and asked == ["/v1/jobs/next"]


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"job_id": "../../etc", "attempt": 1, "bundle_id": "a" * 64, "values": {}},
        {"job_id": "a" * 32, "attempt": 1, "bundle_id": "../" * 21 + "a", "values": {}},
        {"job_id": "A" * 32, "attempt": 1, "bundle_id": "a" * 64, "values": {}},
        {"job_id": "a" * 32, "attempt": "x", "bundle_id": "a" * 64, "values": {}},
        {"job_id": "a" * 32, "attempt": 1, "bundle_id": "a" * 64, "values": [1]},
        {"job_id": "a" * 32, "attempt": 1, "bundle_id": 7, "values": {}},
    ],
)
async def test_t07_a_job_with_strange_ids_is_refused(tmp_path: Path, job: dict[str, Any]) -> None:
    async with hostile(tmp_path, says(job)) as desk:
        if not job:
            assert await desk.next_job() is None
            return
        with pytest.raises(AgentError, match="does not understand"):
            await desk.next_job()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"', b"\xff"])
async def test_an_answer_that_is_no_object_is_refused(tmp_path: Path, body: bytes) -> None:
    async with hostile(tmp_path, says(body)) as desk:
        with pytest.raises(AgentError, match="no JSON object"):
            await desk.own_entry()


async def test_t17_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MAX_ANSWER", 10_000)
    async with hostile(tmp_path, says(b" " * 20_000)) as desk:
        with pytest.raises(AgentError, match="longer than 10000 bytes"):
            await desk.own_entry()


async def test_t12_a_manifest_with_another_hash_is_refused(tmp_path: Path) -> None:
    async with hostile(tmp_path, says({"format": "pocketvideo-bundle"})) as desk:
        with pytest.raises(AgentError, match=r"manifest\.json is damaged"):
            await desk.manifest("a" * 64)


async def test_a_range_that_was_not_asked_for_is_refused(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=b"x", headers={"Content-Range": "bytes 5-5/10"})

    async with hostile(tmp_path, answer) as desk:
        with pytest.raises(AgentError, match="another range"):
            await asyncio.to_thread(desk.lane().get, "/v1/blobs/" + "a" * 64, 7, 10, lambda chunk: None)


@pytest.mark.parametrize("body", [b"<html>502</html>", b"{}", b'{"error": "text"}'])
async def test_an_error_without_the_protocols_body_still_reads_as_one(tmp_path: Path, body: bytes) -> None:
    async with hostile(tmp_path, says(body, 502)) as desk:
        with pytest.raises(DeskRefused, match="answered 502"):
            await desk.own_entry()


async def test_a_desk_whose_certificate_is_for_another_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfyui_pocketvideo.mobile_runtime.bridge import authority

    monkeypatch.setattr(authority, "LOOPBACK_NAMES", ())
    async with hostile(tmp_path, says({}), names=("192.168.7.7",)) as desk:
        with pytest.raises(AgentError, match="not make for this address"):
            await desk.own_entry()


async def test_a_desk_that_hangs_up_is_unreachable_and_not_a_crash(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with hostile(tmp_path, answer) as desk:
        with pytest.raises(DeskUnreachable, match="does not answer"):
            await desk.own_entry()
