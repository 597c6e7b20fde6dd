"""Results that a device made alone: announced, resumed, verified, delivered once (section 12; T17, T18)."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, DeviceInfo, Limits
from comfyui_pocketvideo.mobile_runtime.bridge.errors import ApiError
from comfyui_pocketvideo.mobile_runtime.bridge.media import check_webp
from comfyui_pocketvideo.mobile_runtime.bridge.results import Announced

from unit.bridge.client import Answer, Client, client_for
from unit.bridge.conftest import pair_device, wait_for
from unit.bridge.work import PICTURE, box, webp

VIDEO = box(b"ftyp", b"isom\0\0\0\0") + box(b"mdat", os.urandom(300_000)) + box(b"moov", b"index")


class Desk:
    """What the desk's callback was handed."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Announced, DeviceInfo]] = []
        self.failures = 0
        self.called = threading.Event()

    def place(self, path: Path, announced: Announced, device: DeviceInfo) -> None:
        self.called.set()
        if self.failures:
            self.failures -= 1
            raise OSError("the output folder is full")
        self.got.append((path.read_bytes(), announced, device))


@pytest.fixture
def placing() -> Desk:
    return Desk()


@pytest.fixture
def bridge(tmp_path: Path, limits: Limits, placing: Desk) -> Iterator[Bridge]:
    bridge = Bridge(tmp_path / "desk", desk_name="Test desk", limits=limits, on_result=placing.place)
    bridge.start()
    yield bridge
    bridge.stop()


def announcement(data: bytes = VIDEO, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "result_id": f"{number:032x}",
        "bundle_id": "b" * 64,
        "name": "a red circle",
        "values": {"prompt": "a red circle moves right", "seed": "42"},
        "seconds": 12.5,
        "mime": "image/webp" if data[:4] == b"RIFF" else "video/mp4",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **changes,
    }


def announce(client: Client, body: dict[str, Any]) -> Answer:
    return client.send("POST", "/v1/results", body)


def put(client: Client, body: dict[str, Any], data: bytes, first: int | None = None) -> Answer:
    headers: dict[str, str | None] = {"Content-Type": body["mime"]}
    if first is not None:
        headers["Content-Range"] = f"bytes {first}-{first + len(data) - 1}/{body['bytes']}"
    return client.send("PUT", f"/v1/results/{body['result_id']}", data, headers)


@pytest.mark.parametrize("data", [VIDEO, PICTURE], ids=["mp4", "webp"])
def test_a_result_comes_home_whole(client: Client, placing: Desk, pairing: Pairing, data: bytes) -> None:
    body = announcement(data)
    answer = announce(client, body)
    assert (answer.status, answer.json) == (201, {"state": "open", "received": 0})
    assert put(client, body, data).status == 204
    (held,) = wait_for(lambda: placing.got)
    assert held[0] == data and held[1] == Announced(**body)
    assert (held[2].device_id, held[2].name, held[2].kind) == (pairing.device_id, "Test device", "agent")
    # Told again, it is known, and nothing is placed twice (T18).
    answer = announce(client, body)
    assert (answer.status, answer.json) == (200, {"state": "stored", "received": len(data)})
    assert put(client, body, data).status == 204
    assert put(client, body, data[7:], 7).status == 204
    assert len(placing.got) == 1


def test_a_broken_upload_goes_on_where_it_was(client: Client, placing: Desk) -> None:
    body = announcement()
    announce(client, body)
    plain = socket.create_connection((client.host, client.port), 30)
    with client.context.wrap_socket(plain, server_hostname=client.host) as wire:
        lines = [
            f"PUT /v1/results/{body['result_id']} HTTP/1.1",
            f"Host: {client.host}:{client.port}",
            f"Origin: {client.origin}",
            f"Authorization: Bearer {client.token}",
            "Content-Type: video/mp4",
            f"Content-Length: {len(VIDEO)}",
        ]
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + VIDEO[:100_000])
        received = wait_for(lambda: announce(client, body).json["received"] == 100_000)
        assert received
    wait_for(lambda: put(client, body, VIDEO[50:60], 50).code == "wrong_offset")
    part = VIDEO[100_000:150_000]
    answer = wait_for(lambda: (got := put(client, body, part, 100_000)).status == 200 and got)
    assert answer.json == {"state": "open", "received": 150_000}
    assert put(client, body, VIDEO[150_000:], 150_000).status == 204
    assert wait_for(lambda: placing.got)[0][0] == VIDEO


def test_what_arrived_outlives_a_restart_of_the_desk(client: Client, bridge: Bridge, placing: Desk) -> None:
    body = announcement()
    announce(client, body)
    assert put(client, body, VIDEO[:1000], 0).status == 200
    bridge.stop()
    bridge.start()
    assert announce(client, body).json == {"state": "open", "received": 1000}
    assert put(client, body, VIDEO[1000:], 1000).status == 204
    wait_for(lambda: placing.got)


def test_a_result_that_could_not_be_placed_is_placed_later(
    client: Client, bridge: Bridge, placing: Desk, tmp_path: Path
) -> None:
    placing.failures = 1
    body = announcement()
    announce(client, body)
    assert put(client, body, VIDEO).status == 204
    assert placing.called.wait(10)
    bridge.stop()
    assert [path.name for path in (tmp_path / "desk" / "results").glob("*.mp4")] == [f"{1:032x}.mp4"]
    bridge.start()
    assert wait_for(lambda: placing.got)[0][0] == VIDEO
    wait_for(lambda: not list((tmp_path / "desk" / "results").glob("*.mp4")))
    assert announce(client, body).json["state"] == "stored"


def test_t12_a_flipped_byte_is_refused_and_sent_anew(client: Client, placing: Desk) -> None:
    body = announcement()
    announce(client, body)
    broken = bytearray(VIDEO)
    broken[5000] ^= 1
    assert put(client, body, bytes(broken)).code == "wrong_hash"
    assert announce(client, body).json == {"state": "open", "received": 0}
    assert put(client, body, VIDEO).status == 204
    wait_for(lambda: placing.got)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"<script>alert(1)</script>", "video/mp4"),
        (VIDEO + b"<script>", "video/mp4"),
        (PICTURE, "video/mp4"),
        (VIDEO, "image/webp"),
        (PICTURE + b"PK\3\4", "image/webp"),
    ],
)
def test_t18_a_file_of_another_kind_is_refused(client: Client, placing: Desk, data: bytes, mime: str) -> None:
    body = announcement(data, mime=mime)
    announce(client, body)
    assert put(client, body, data).code == "wrong_kind"
    assert announce(client, body).json["received"] == 0 and not placing.got


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        PICTURE[:-1],
        PICTURE + b"\0",
        webp((b"EXIF", b"abcd")),
        webp((b"VP8 ", b"ab"), (b"code", b"ab")),
        webp((b"VP8 ", b"ab")).replace(b"\x02\0\0\0ab", b"\x09\0\0\0ab"),
    ],
)
def test_t18_only_a_plain_webp_is_taken(data: bytes) -> None:
    check_webp(webp((b"VP8 ", b"abc")))
    with pytest.raises(ApiError):
        check_webp(data)


def test_t18_a_result_belongs_to_its_device_and_its_content(
    client: Client, bridge: Bridge, tmp_path: Path
) -> None:
    body = announcement()
    announce(client, body)
    other = client_for(pair_device(bridge, tmp_path / "other", "Other device"))
    assert put(other, body, VIDEO).code == "not_found"
    assert announce(other, body).code == "conflict"
    assert announce(client, announcement(name="another")).code == "conflict"
    assert put(client, announcement(number=2), VIDEO).code == "not_found"
    assert put(client, body, VIDEO, 0).status == 204


@pytest.mark.parametrize(
    "changes",
    [
        {"result_id": "A" * 32},
        {"result_id": "../../../etc/passwd"},
        {"bundle_id": "b" * 63},
        {"sha256": ""},
        {"name": ""},
        {"name": "\n"},
        {"name": "x" * 101},
        {"mime": "text/html"},
        {"bytes": 0},
        {"bytes": 256 * 1024 * 1024 + 1},
        {"bytes": True},
        {"seconds": -1},
        {"seconds": "1"},
        {"values": []},
        {"more": 1},
    ],
)
def test_malformed_announcements_are_refused(client: Client, changes: dict[str, Any]) -> None:
    assert announce(client, {**announcement(), **changes}).code == "bad_request"


@pytest.mark.parametrize(
    "header", ["bytes 0-9/10", "bytes 0-300060/300061", "bytes 5-1/10", "bytes */10", "bytes=0-9", "x" * 900]
)
def test_a_range_that_does_not_fit_is_refused(client: Client, header: str) -> None:
    body = announcement()
    announce(client, body)
    answer = client.send(
        "PUT",
        f"/v1/results/{body['result_id']}",
        b"0123456789",
        {"Content-Type": "video/mp4", "Content-Range": header},
    )
    assert answer.code == "bad_request"
    assert put(client, body, VIDEO[:-1]).code == "bad_request"


def test_another_content_type_than_announced_is_refused(client: Client) -> None:
    body = announcement()
    announce(client, body)
    assert put(client, {**body, "mime": "image/webp"}, VIDEO).code == "wrong_type"
    assert put(client, body, VIDEO).status == 204


class TestSpace:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(results_bytes=len(VIDEO) + 100)

    def test_t17_results_that_wait_are_bounded_in_bytes(
        self, client: Client, placing: Desk, bridge: Bridge
    ) -> None:
        placing.failures = 1
        body = announcement()
        announce(client, body)
        assert announce(client, announcement(number=2)).code == "no_space"
        assert put(client, body, VIDEO).status == 204
        assert placing.called.wait(10)
        bridge.stop()
        bridge.start()
        wait_for(lambda: placing.got)
        # Placed, it takes no space any more.
        wait_for(lambda: announce(client, announcement(number=2)).status == 201)

    def test_t17_incomplete_results_are_bounded_in_number(self, client: Client) -> None:
        for number in range(16):
            assert announce(client, announcement(PICTURE, number)).status == 201
        assert announce(client, announcement(PICTURE, 16)).code == "too_many"


def test_two_uploads_of_one_result_do_not_mix(client: Client) -> None:
    body = announcement()
    announce(client, body)
    plain = socket.create_connection((client.host, client.port), 30)
    with client.context.wrap_socket(plain, server_hostname=client.host) as wire:
        assert isinstance(wire, ssl.SSLSocket)
        lines = [
            f"PUT /v1/results/{body['result_id']} HTTP/1.1",
            f"Host: {client.host}:{client.port}",
            f"Origin: {client.origin}",
            f"Authorization: Bearer {client.token}",
            "Content-Type: video/mp4",
            f"Content-Length: {len(VIDEO)}",
        ]
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + VIDEO[:1000])
        wait_for(lambda: announce(client, body).json["received"] == 1000)
        assert put(client, body, VIDEO).code == "busy"
    wait_for(lambda: put(client, body, VIDEO).status == 204)


def test_a_damaged_entry_costs_only_itself(client: Client, bridge: Bridge, tmp_path: Path) -> None:
    announce(client, announcement())
    announce(client, announcement(PICTURE, 2))
    bridge.stop()
    (tmp_path / "desk" / "results" / f"{1:032x}.json").write_text("{")
    bridge.start()
    assert announce(client, announcement()).status == 201
    assert announce(client, announcement(PICTURE, 2)).status == 200
