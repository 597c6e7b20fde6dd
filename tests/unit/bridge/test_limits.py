"""Bounds on bodies, time, connections and transfers (T17), and sizes of results (T18)."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, Limits
from comfyui_pocketvideo.mobile_runtime.bridge.routes import ROUTES

from unit.bridge import tiny_bundle
from unit.bridge.client import Client
from unit.bridge.conftest import wait_for
from unit.bridge.test_routes import example


@pytest.fixture
def limits() -> Limits:
    # Short, so that the tests need not wait long, and long enough for an honest request on a busy machine.
    return Limits(
        connections=6,
        first_request_seconds=4.0,
        body_idle_seconds=2.0,
        slowest_body=1e9,
        write_stall_seconds=2.0,
        transfers_per_device=2,
        bandwidth=200_000.0,
    )


def connect(client: Client) -> ssl.SSLSocket:
    """A TLS connection to write bytes on."""
    plain = socket.create_connection((client.host, client.port), 30)
    return client.context.wrap_socket(plain, server_hostname=client.host)


@pytest.fixture
def wire(client: Client) -> Iterator[ssl.SSLSocket]:
    with connect(client) as connection:
        yield connection


def head(client: Client, line: str, *headers: str) -> bytes:
    host = f"{client.host}:{client.port}"
    lines = [
        line,
        f"Host: {host}",
        f"Origin: https://{host}",
        f"Authorization: Bearer {client.token}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def everything(connection: ssl.SSLSocket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return received
        if not chunk:
            return received
        received += chunk


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.path)
def test_t17_t18_an_oversize_body_is_refused_by_its_length_before_it_is_read(client: Client, route) -> None:
    headers = {"Content-Type": route.body, "Content-Length": str(route.limit + 1)}
    answer = client.send(route.method, example(route.path), b"{", headers)
    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.path)
def test_t17_a_body_of_unknown_length_is_refused(client: Client, wire: ssl.SSLSocket, route) -> None:
    line = f"{route.method} {example(route.path)} HTTP/1.1"
    wire.sendall(
        head(client, line, f"Content-Type: {route.body}", "Transfer-Encoding: chunked", "Connection: close")
        + b"1\r\n{\r\n0\r\n\r\n"
    )
    assert everything(wire).startswith(b"HTTP/1.1 411")


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.body], ids=lambda route: route.path)
def test_t17_a_route_without_a_body_takes_none(client: Client, route) -> None:
    answer = client.send(route.method, example(route.path), b"{}", {"Origin": client.origin})
    assert (answer.status, answer.code) == (413, "too_large")


def test_t17_a_compressed_body_is_refused(client: Client) -> None:
    answer = client.send("POST", "/v1/pairings", b"{}", {"Content-Encoding": "gzip"})
    assert answer.status in (400, 415)


def test_t17_a_body_that_stalls_is_cut(client: Client, wire: ssl.SSLSocket) -> None:
    wire.sendall(
        head(client, "POST /v1/pairings HTTP/1.1", "Content-Type: application/json", "Content-Length: 50")
    )
    wire.sendall(b"{")
    received = everything(wire)
    assert received.startswith(b"HTTP/1.1 408") and b'"timeout"' in received


def test_t17_a_slow_loris_is_cut(client: Client, wire: ssl.SSLSocket) -> None:
    wire.sendall(b"GET /v1/about HTTP/1.1\r\nHost: ")
    assert everything(wire) == b""


def test_t17_an_idle_connection_is_cut(wire: ssl.SSLSocket) -> None:
    assert everything(wire) == b""


def test_t17_connections_beyond_the_limit_are_closed(client: Client, limits: Limits) -> None:
    held = []
    try:
        with ThreadPoolExecutor(limits.connections) as pool:
            polls = [pool.submit(client.get, f"/v1/pairings/{'a' * 32}?wait=0") for _ in range(3)]
            assert all(poll.result(10).status == 404 for poll in polls)
        refused = 0
        for _ in range(limits.connections + 4):
            plain = socket.create_connection((client.host, client.port), 10)
            held.append(plain)
            try:
                secure = client.context.wrap_socket(plain, server_hostname=client.host)
                held.append(secure)
                secure.sendall(head(client, "GET /v1/device HTTP/1.1"))
                if not secure.recv(10):
                    refused += 1
            except (ConnectionError, ssl.SSLError):
                refused += 1
        assert refused >= 4
    finally:
        for item in held:
            item.close()
    # The bridge serves again once they are gone.
    wait_for(lambda: _answers(client))


def _answers(client: Client) -> bool:
    try:
        return client.get("/v1/device").status == 200
    except (ConnectionError, ssl.SSLError, OSError):
        return False


def test_t17_transfers_of_one_device_are_bounded(
    client: Client, bridge: Bridge, pairing: Pairing, tmp_path: Path
) -> None:
    bundle = tiny_bundle.build(tmp_path / "bundle", ballast=(150_000, 150_001, 150_002))
    cancel = []
    with ThreadPoolExecutor(4) as pool:
        pool.submit(bridge.push, None, bundle, {}, None, lambda: bool(cancel))
        assert client.get("/v1/jobs/next?wait=10").status == 200
        blobs = [f"/v1/blobs/{bundle.files[f'ballast_{index}.bin']['sha256']}" for index in range(3)]
        slow = [pool.submit(client.get, path) for path in blobs[:2]]
        wait_for(
            lambda: bridge._core is not None and bridge._core.traffic.open_transfers[pairing.device_id] == 2
        )
        answer = client.get(blobs[2])
        assert (answer.status, answer.code) == (429, "busy")
        assert [item.result(10).status for item in slow] == [200, 200]
        assert client.get(blobs[2]).status == 200
        cancel.append(True)


def test_t17_a_device_that_stops_reading_is_cut(
    client: Client, bridge: Bridge, pairing: Pairing, tmp_path: Path
) -> None:
    core = bridge._core
    assert core is not None
    core.limits = dataclasses.replace(core.limits, bandwidth=None)
    bundle = tiny_bundle.build(tmp_path / "bundle", ballast=(30_000_000,))
    cancel = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(bridge.push, None, bundle, {}, None, lambda: bool(cancel))
        assert client.get("/v1/jobs/next?wait=10").status == 200
        with connect(client) as wire:
            wire.sendall(head(client, f"GET /v1/blobs/{bundle.files['ballast_0.bin']['sha256']} HTTP/1.1"))
            wait_for(lambda: core.traffic.requests and not core.traffic.open_transfers[pairing.device_id])
        cancel.append(True)
    assert sum(bridge.bytes_sent(pairing.device_id).values()) < 30_000_000


def test_t06_revoking_cuts_a_transfer_in_the_middle(
    client: Client, bridge: Bridge, pairing: Pairing, tmp_path: Path
) -> None:
    bundle = tiny_bundle.build(tmp_path / "bundle", ballast=(2_000_000,))
    sha256 = bundle.files["ballast_0.bin"]["sha256"]
    with ThreadPoolExecutor(2) as pool:
        push = pool.submit(bridge.push, None, bundle, {})
        assert client.get("/v1/jobs/next?wait=10").status == 200
        transfer = pool.submit(client.get, f"/v1/blobs/{sha256}")
        wait_for(lambda: bridge.bytes_sent(pairing.device_id).get(sha256, 0) > 0)
        bridge.revoke(pairing.device_id)
        # The whole of it would come in ten seconds, without an error.
        assert transfer.exception(60) is not None
        assert push.exception(10) is not None
