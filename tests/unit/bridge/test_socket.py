"""The socket over real TLS: handshake, jobs pushed, the device's words, every way it ends (section 10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, Limits
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge.client import Client, client_for
from unit.bridge.conftest import pair_device, wait_for
from unit.bridge.work import Pushes, deliver

STATUS = {
    "free_bytes": 1000,
    "total_bytes": 2**53 - 1,
    "memory_bytes": None,
    "runtime": "onnxruntime",
    "app": "0.1.0",
    "bundles": [{"bundle_id": "b" * 64, "name": "shapes", "bytes": 7}],
}


class Wire:
    """A device's end of one socket."""

    def __init__(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        self.stream = stream

    async def receive(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.stream.receive(), 15)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        document = json.loads(message.data)
        assert isinstance(document, dict)
        return document

    async def send(self, **message: Any) -> None:
        await self.stream.send_str(json.dumps(message))

    async def closed(self) -> int | None:
        """The close code, after whatever else comes."""
        while True:
            message = await asyncio.wait_for(self.stream.receive(), 15)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return self.stream.close_code


@asynccontextmanager
async def handshake(
    client: Client, headers: dict[str, str], protocols: tuple[str, ...] = ("pocketvideo.v1",), **options: Any
) -> AsyncIterator[Wire]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client.context)) as session,
        session.ws_connect(
            f"https://{client.host}:{client.port}/v1/socket", headers=headers, protocols=protocols, **options
        ) as stream,
    ):
        yield Wire(stream)


def credentials(client: Client) -> dict[str, str]:
    return {"Origin": client.origin, "Authorization": f"Bearer {client.token}"}


@asynccontextmanager
async def opened(client: Client, **options: Any) -> AsyncIterator[Wire]:
    """A socket whose `hello` was read."""
    async with handshake(client, credentials(client), **options) as wire:
        assert (await wire.receive())["type"] == "hello"
        yield wire


async def status_of(client: Client, headers: dict[str, str], protocols: tuple[str, ...]) -> int:
    """What a handshake that fails is answered."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with handshake(client, headers, protocols):
            pass
    return caught.value.status


async def test_the_desk_says_hello_to_a_bearer_header(
    client: Client, pairing: Pairing, bridge: Bridge
) -> None:
    async with handshake(client, credentials(client)) as wire:
        assert wire.stream.protocol == "pocketvideo.v1"
        assert await wire.receive() == {
            "type": "hello",
            "protocol": "1.1",
            "device": {"device_id": pairing.device_id, "name": "Test device", "kind": "agent"},
            "desk": {"id": bridge.fingerprint[:16], "name": "Test desk"},
        }


async def test_t16_a_browsers_token_comes_as_a_protocol_and_is_never_echoed(client: Client) -> None:
    protocols = (f"bearer.{client.token}", "pocketvideo.v1")
    async with handshake(client, {"Origin": client.origin}, protocols) as wire:
        assert wire.stream.protocol == "pocketvideo.v1"
        assert (await wire.receive())["type"] == "hello"


async def test_t03_a_socket_needs_a_token_an_origin_and_the_protocol(client: Client) -> None:
    ours = ("pocketvideo.v1",)
    good = credentials(client)
    assert await status_of(client, {"Origin": client.origin}, ours) == 401
    assert await status_of(client, {"Origin": client.origin}, (*ours, "bearer." + "0" * 64)) == 401
    assert await status_of(client, {"Origin": client.origin}, (*ours, f"basic.{client.token}")) == 401
    assert await status_of(client, {"Authorization": good["Authorization"]}, ours) == 403
    for origin in ("null", "https://evil.example", client.origin.replace("https", "http")):
        assert await status_of(client, {**good, "Origin": origin}, ours) == 403
        assert await status_of(client, {"Origin": origin}, (*ours, f"bearer.{client.token}")) == 403
    assert await status_of(client, {**good, "Host": "attacker.example"}, ours) == 421
    assert await status_of(client, good, ("something.else",)) == 400
    assert client.get("/v1/socket", Origin=client.origin).status == 400


async def test_a_waiting_job_is_pushed_and_the_next_follows(
    pushes: Pushes, client: Client, bundle: Bundle
) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        first = pushes.start(None, bundle, {"prompt": "one"})
        job = await wire.receive()
        assert job["type"] == "job" and job["attempt"] == 1 and job["values"] == {"prompt": "one"}
        assert (job["kind"], job["bundle_id"], job["name"]) == ("run", bundle.id, bundle.manifest["name"])
        second = pushes.start(None, bundle, {"prompt": "two"})
        await asyncio.to_thread(deliver, client, job)
        assert (await asyncio.to_thread(first.result, 15)).attempts == 1
        job = await wire.receive()
        assert job["values"] == {"prompt": "two"} and job["attempt"] == 1
        await asyncio.to_thread(deliver, client, job)
        await asyncio.to_thread(second.result, 15)


async def test_an_install_comes_without_values_and_ends_with_done(
    bridge: Bridge, client: Client, bundle: Bundle
) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        installing = asyncio.create_task(asyncio.to_thread(bridge.install, None, bundle))
        job = await wire.receive()
        assert (job["kind"], job["values"]) == ("install", {})
        path = f"/v1/jobs/{job['job_id']}/done"
        answer = await asyncio.to_thread(client.send, "POST", path, {"report": {"made": "so"}})
        assert answer.status == 204
        assert (await asyncio.wait_for(installing, 15)).report == {"made": "so"}


async def test_events_reach_the_desk_and_a_cancel_the_device(
    pushes: Pushes, client: Client, bundle: Bundle
) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        future = pushes.start(None, bundle)
        job = await wire.receive()
        await wire.send(type="event", job_id=job["job_id"], stage="run", fraction=0.5, message="a\u202eb\n")
        await asyncio.to_thread(wait_for, lambda: [event for event in pushes.events if event.stage == "run"])
        (event,) = [event for event in pushes.events if event.stage == "run"]
        assert (event.fraction, event.message) == (0.5, "a b")
        pushes.cancel.set()
        assert await wire.receive() == {"type": "cancel", "job_id": job["job_id"]}
        with pytest.raises(BridgeError, match="cancelled"):
            await asyncio.to_thread(future.result, 15)
        # Whatever it still says of that job gets the same answer, and so does an unknown one.
        for job_id in (job["job_id"], "f" * 32):
            await wire.send(type="event", job_id=job_id, stage="run", fraction=None, message="")
            assert await wire.receive() == {"type": "cancel", "job_id": job_id}


async def test_a_device_that_lost_its_connection_goes_on_and_one_that_restarted_begins_anew(
    pushes: Pushes, client: Client, bundle: Bundle
) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        future = pushes.start(None, bundle)
        job = await wire.receive()
    async with opened(client) as wire:
        # It says nothing of being ready, so its job stays as it was.
        await wire.send(type="event", job_id=job["job_id"], stage="run", fraction=0.9, message="still here")
        await asyncio.to_thread(wait_for, lambda: [e for e in pushes.events if e.message == "still here"])
    async with opened(client) as wire:
        await wire.send(type="ready")
        again = await wire.receive()
        assert (again["job_id"], again["attempt"]) == (job["job_id"], 2)
        await asyncio.to_thread(deliver, client, again)
        assert (await asyncio.to_thread(future.result, 15)).attempts == 2


async def test_a_long_poll_takes_the_work_over_and_ready_takes_it_back(
    pushes: Pushes, client: Client, bundle: Bundle
) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        assert (await asyncio.to_thread(client.get, "/v1/jobs/next?wait=0")).status == 204
        await wire.send(type="ready")
        future = pushes.start(None, bundle)
        job = await wire.receive()
        await asyncio.to_thread(deliver, client, job)
        await asyncio.to_thread(future.result, 15)


async def test_a_status_is_kept_over_a_restart_of_the_desk(
    bridge: Bridge, client: Client, tmp_path: Path
) -> None:
    assert bridge.devices()[0].status is None
    async with opened(client) as wire:
        await wire.send(type="status", **STATUS)
        await asyncio.to_thread(wait_for, lambda: bridge.devices()[0].status)
    more = {**STATUS, "runtime": "a\u202eb", "bundles": []}
    assert (await asyncio.to_thread(client.send, "PUT", "/v1/device/status", more)).status == 204
    await asyncio.to_thread(bridge.stop)
    (device,) = Bridge(tmp_path / "desk").devices()
    assert device.status is not None and not device.connected
    assert (device.status.free_bytes, device.status.memory_bytes, device.status.bundles) == (1000, None, ())
    assert device.status.runtime == "a b"


async def test_an_open_socket_that_waits_is_connected_and_a_closed_one_is_not(
    bridge: Bridge, client: Client
) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        await asyncio.to_thread(wait_for, lambda: bridge.devices()[0].connected)
    await asyncio.to_thread(wait_for, lambda: not bridge.devices()[0].connected)


@pytest.mark.parametrize("ready", [False, True])
async def test_t06_revoking_closes_the_socket_at_once(
    bridge: Bridge, client: Client, pairing: Pairing, ready: bool
) -> None:
    async with opened(client) as wire:
        if ready:
            await wire.send(type="ready")
        await asyncio.to_thread(bridge.revoke, pairing.device_id)
        assert await wire.receive() == {"type": "revoked"}
        assert await wire.closed() == 4401
    assert await status_of(client, credentials(client), ("pocketvideo.v1",)) == 401


async def test_a_device_that_unpairs_itself_closes_its_socket(client: Client) -> None:
    async with opened(client) as wire:
        assert (await asyncio.to_thread(client.send, "DELETE", "/v1/device")).status == 204
        assert await wire.closed() == 4401


async def test_a_new_name_reaches_the_device(bridge: Bridge, client: Client, pairing: Pairing) -> None:
    async with opened(client) as wire:
        renamed = await asyncio.to_thread(bridge.rename, pairing.device_id, " Bedroom tablet ")
        assert renamed.name == "Bedroom tablet"
        assert await wire.receive() == {"type": "renamed", "name": "Bedroom tablet"}
    assert client.get("/v1/device").json["name"] == "Bedroom tablet"
    bridge.stop()
    assert bridge.rename(pairing.device_id, "Away").name == "Away"
    assert bridge.devices()[0].name == "Away"


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\u202eb", "a\nb"])
def test_t14_a_name_that_is_no_plain_line_is_refused(bridge: Bridge, pairing: Pairing, name: str) -> None:
    with pytest.raises(BridgeError, match="printable"):
        bridge.rename(pairing.device_id, name)
    with pytest.raises(BridgeError, match="No device"):
        bridge.rename("0" * 16, "Fine")


async def test_stopping_the_bridge_says_so_and_closes(bridge: Bridge, client: Client) -> None:
    async with opened(client) as wire:
        await wire.send(type="ready")
        stopping = asyncio.create_task(asyncio.to_thread(bridge.stop))
        assert await wire.receive() == {"type": "stopping"}
        assert await wire.closed() == 1001
        await stopping


async def test_a_newer_socket_of_the_same_device_ends_the_older(client: Client) -> None:
    async with opened(client) as older, opened(client) as newer:
        assert await older.closed() == 4409
        await newer.send(type="ready")
        assert not newer.stream.closed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"type": "job"}',
        '{"type": ["ready"]}',
        '{"type": "ready", "more": 1}',
        '{"type": "event", "job_id": "x"}',
        '{"type": "event", "job_id": 7, "stage": "run", "fraction": 0, "message": ""}',
        '{"type": "event", "job_id": "x", "stage": "dance", "fraction": 0, "message": ""}',
        '{"type": "event", "job_id": "x", "stage": "run", "fraction": 7, "message": ""}',
        '{"type": "event", "job_id": "x", "stage": "run", "fraction": NaN, "message": ""}',
        '{"type": "status"}',
        json.dumps({"type": "status", **STATUS, "free_bytes": -1}),
        json.dumps({"type": "status", **STATUS, "free_bytes": True}),
        json.dumps({"type": "status", **STATUS, "free_bytes": 2**53}),
        json.dumps({"type": "status", **STATUS, "runtime": "x" * 201}),
        json.dumps({"type": "status", **STATUS, "bundles": [{"bundle_id": "b" * 64}]}),
        json.dumps({"type": "status", **STATUS, "bundles": [1] * 257}),
        '{"type": ' + "[" * 40 + "]" * 40 + "}",
        '{"type": "\\ud800"}',
    ],
)
async def test_a_message_that_the_protocol_does_not_have_ends_the_socket(client: Client, text: str) -> None:
    async with opened(client) as wire:
        await wire.stream.send_str(text)
        answer = await wire.receive()
        assert answer["type"] == "error" and answer["error"]["code"] == "bad_request"
        assert await wire.closed() == 4400


async def test_t17_frames_are_bounded_in_kind_size_and_number(client: Client) -> None:
    async with opened(client) as wire:
        await wire.stream.send_bytes(b"{}")
        assert await wire.closed() == 1003
    async with opened(client) as wire:
        await wire.stream.send_str(json.dumps({"type": "ready", "pad": "x" * 70_000}))
        # The rest of the frame is never read, so its sender may see an abrupt end instead of the code.
        assert await wire.closed() in (1009, 1006)
    async with opened(client) as wire:
        for _ in range(150):
            await wire.send(type="ready")
        assert await wire.closed() == 4429


class TestSilence:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(ping_seconds=0.5)

    async def test_t17_a_socket_that_answers_no_ping_is_closed(self, bridge: Bridge, client: Client) -> None:
        async with opened(client, autoping=False) as wire:
            await wire.send(type="ready")
            await asyncio.to_thread(wait_for, lambda: bridge.devices()[0].connected)
            await asyncio.to_thread(wait_for, lambda: not bridge.devices()[0].connected)
            assert (await wire.stream.receive()).type is aiohttp.WSMsgType.PING


class TestAnswers:
    @pytest.fixture
    def limits(self) -> Limits:
        # Half of it is the patience with an answer: enough for a busy machine.
        return Limits(ping_seconds=3.0)

    async def test_one_that_answers_every_ping_stays(self, bridge: Bridge, client: Client) -> None:
        async with opened(client, autoping=False) as wire:
            await wire.send(type="ready")
            for _ in range(2):
                ping = await wire.stream.receive()
                assert ping.type is aiohttp.WSMsgType.PING
                await wire.stream.pong(ping.data)
            assert bridge.devices()[0].connected


async def test_each_device_has_its_own_socket(bridge: Bridge, client: Client, tmp_path: Path) -> None:
    other = client_for(pair_device(bridge, tmp_path / "other", "Other device"))
    async with opened(client) as mine, opened(other) as theirs:
        bridge.revoke(bridge.devices()[1].device_id)
        assert await theirs.closed() == 4401
        await mine.send(type="ready")
        assert not mine.stream.closed
