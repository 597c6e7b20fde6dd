"""The first byte, the page for plain HTTP, the names that are answered, their certificates (T2, T17)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.desk import pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.handshake import read_uri
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, Limits, authority, listener
from comfyui_pocketvideo.mobile_runtime.bridge.authority import load_authority
from comfyui_pocketvideo.mobile_runtime.bridge.names import Name, Names, read_name
from cryptography import x509

from unit.bridge.client import Client
from unit.bridge.conftest import wait_for


def plain(bridge: Bridge, request: bytes) -> bytes:
    """Everything that a plain connection is answered."""
    host, port = bridge.address.split(":")
    with socket.create_connection((host, int(port)), 15) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize("path", ["/", "/v1/about", "/v1/device", "/trust", "/ca.crt", "/index.html"])
def test_plain_http_gets_one_page_and_nothing_else(bridge: Bridge, path: str) -> None:
    answer = plain(bridge, f"GET {path} HTTP/1.1\r\nHost: {bridge.address}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 ") and b"\r\nUpgrade: TLS/1.3\r\n" in head
    assert b"Content-Type: text/html" in head and b"default-src 'none'" in head
    assert int(re.search(rb"Content-Length: (\d+)", head)[1]) == len(body)  # type: ignore[index]
    assert b"https only" in body and b"Scan the QR code" in body
    assert f'<a href="https://{bridge.address}/">'.encode() in body
    assert b"<script" not in body and b"{{" not in body and b"protocol" not in body
    assert answer == plain(bridge, f"GET /other HTTP/1.0\r\nHOST:  {bridge.address}\r\n\r\n".encode())


@pytest.mark.parametrize("host", ["attacker.example", '"><script>alert(1)</script>', "", "\xff"])
def test_t02_the_plain_page_repeats_no_foreign_name(bridge: Bridge, host: str) -> None:
    answer = plain(bridge, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert b"426" in answer and b"<a " not in answer and b"attacker" not in answer and b"script" not in answer


def test_t16_a_token_sent_in_the_clear_opens_nothing(bridge: Bridge, client: Client) -> None:
    request = (
        f"GET /v1/device HTTP/1.1\r\nHost: {bridge.address}\r\nAuthorization: Bearer {client.token}\r\n\r\n"
    )
    answer = plain(bridge, request.encode())
    assert answer.startswith(b"HTTP/1.1 426 ") and b"device_id" not in answer


class TestImpatience:
    @pytest.fixture
    def bridge(self, tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
        monkeypatch.setattr(listener, "FIRST_BYTE_SECONDS", 0.5)
        monkeypatch.setattr(listener, "HANDSHAKE_SECONDS", 0.5)
        monkeypatch.setattr(listener.plain_http, "SECONDS", 0.5)
        bridge = Bridge(tmp_path / "desk", limits=dataclasses.replace(limits, connections=3))
        bridge.start()
        yield bridge
        bridge.stop()

    @pytest.mark.parametrize(
        "words", [b"", b"GET / HTTP/1.1\r\nHost: ", b"\x16", b"\x16\x03\x01\x02\x00\x01"]
    )
    def test_t17_who_says_too_little_is_cut(self, bridge: Bridge, words: bytes) -> None:
        assert plain(bridge, words) == b""

    def test_t17_endless_headers_are_not_read_to_their_end(self, bridge: Bridge) -> None:
        host, port = bridge.address.split(":")
        with (
            socket.create_connection((host, int(port)), 15) as connection,
            pytest.raises((ConnectionError, TimeoutError)),
        ):
            connection.sendall(b"GET / HTTP/1.1\r\n")
            for _ in range(100_000):
                connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")

    def test_t17_connections_that_say_nothing_count(self, bridge: Bridge, tmp_path: Path) -> None:
        host, port = bridge.address.split(":")
        held = [socket.create_connection((host, int(port)), 15) for _ in range(6)]
        try:
            # Each is closed by itself, so a look may come between two.
            wait_for(lambda: sum(_ended(item) for item in held) >= 3)
        finally:
            for item in held:
                item.close()
        client = Client(host, int(port), pinned_context(load_authority(tmp_path / "desk").certificate))
        wait_for(lambda: _answers(client))


def _ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def _answers(client: Client) -> bool:
    try:
        return client.get("/v1/about").status == 200
    except OSError:
        return False


def test_the_bridge_answers_by_every_name_it_was_given(tmp_path: Path) -> None:
    names = ("Studio.local", "studio.example.ts.net:443", "other.example:8443")
    bridge = Bridge(tmp_path / "desk", names=names)
    bridge.start()
    try:
        host, port = bridge.address.split(":")
        assert bridge.addresses == (
            bridge.address,
            f"studio.local:{port}",
            "studio.example.ts.net:443",
            "other.example:8443",
        )
        client = Client(host, int(port), pinned_context(load_authority(tmp_path / "desk").certificate))
        right = [
            f"studio.local:{port}",
            "studio.example.ts.net",
            "studio.example.ts.net:443",
            "other.example:8443",
        ]
        for name in right:
            assert client.get("/v1/about", Host=name, Origin=f"https://{name}").status == 200, name
        for name in ("studio.local", f"studio.example.ts.net:{port}", "other.example", f"example:{port}"):
            assert client.get("/v1/about", Host=name).code == "wrong_host", name
        offers = [bridge.begin_pairing(address).uri.partition("#")[0] for address in ("", *bridge.addresses)]
        assert offers == [
            f"https://{bridge.address}/",
            f"https://{bridge.address}/",
            f"https://studio.local:{port}/",
            "https://studio.example.ts.net/",
            "https://other.example:8443/",
        ]
        with pytest.raises(BridgeError, match="not reached as"):
            bridge.begin_pairing("elsewhere.example:1")
        # The certificate is good for the names, too.
        with socket.create_connection((host, int(port)), 15) as raw:
            client.context.wrap_socket(raw, server_hostname="studio.local").close()
    finally:
        bridge.stop()
    assert bridge.addresses == ()


def test_ipv6_is_one_address_like_another(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "desk", "::1")
    try:
        invitation = read_uri(bridge.begin_pairing().uri)
        assert (invitation.host, bridge.address) == ("::1", f"[::1]:{invitation.port}")
        context = pinned_context(load_authority(tmp_path / "desk").certificate)
        with (
            socket.create_connection(("::1", invitation.port), 15) as raw,
            context.wrap_socket(raw, server_hostname="::1") as wire,
        ):
            wire.sendall(f"GET /v1/about HTTP/1.1\r\nHost: {bridge.address}\r\n\r\n".encode())
            assert wire.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        bridge.stop()


def test_a_fixed_port_stays_fixed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for _ in range(2):
        bridge = Bridge(tmp_path / "desk", port=port)
        bridge.start()
        assert bridge.address == f"127.0.0.1:{port}"
        bridge.stop()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("studio.local", Name("studio.local")),
        (" Studio ", Name("studio")),
        ("studio.example.ts.net:443", Name("studio.example.ts.net", 443)),
        ("192.168.1.20", Name("192.168.1.20")),
        ("192.168.1.20:8443", Name("192.168.1.20", 8443)),
        ("fd00::1", Name("fd00::1")),
        ("[fd00::1]:8443", Name("fd00::1", 8443)),
    ],
)
def test_names_are_read_as_people_write_them(text: str, name: Name) -> None:
    assert read_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://studio.local",
        "studio.local/",
        "a b",
        "-a.local",
        "a..b",
        "studio.local:0",
        "studio.local:65536",
        "studio.local:x",
        "[studio.local]:1",
        "0.0.0.0",
        "[::]:1",
        "*",
        "*.local",
        "user@studio.local",
        "x" * 64,
        "fe80::1%eth0",
        "st\u00fcdio.local",
        "studio.local\r\nX: y",
    ],
)
def test_t02_what_is_no_name_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(BridgeError, match=r"no host name|names no computer"):
        Bridge(tmp_path / "desk", names=(text,)).start()
    with pytest.raises(BridgeError, match="takes 16"):
        Names.of("127.0.0.1", tuple(f"a{number}" for number in range(17)))


def leaf_of(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "leaf.pem").read_bytes())


def test_certificates_begin_before_a_slow_clock_says_they_do(tmp_path: Path) -> None:
    authority.server_context(tmp_path, ())
    earliest = dt.datetime.now(dt.UTC) - dt.timedelta(days=29)
    made = x509.load_der_x509_certificate(load_authority(tmp_path).certificate)
    assert made.not_valid_before_utc <= leaf_of(tmp_path).not_valid_before_utc <= earliest


@pytest.mark.parametrize("years", [-50, 73])
def test_a_desk_whose_clock_is_far_off_names_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    load_authority(tmp_path)
    wrong = dt.datetime.now(dt.UTC) + dt.timedelta(days=365 * years)
    monkeypatch.setattr(authority, "clock", lambda: wrong)
    with pytest.raises(BridgeError, match=r"clock says \d{4}-.*set the clock"):
        Bridge(tmp_path).start()


def test_a_leaf_made_while_the_clock_was_ahead_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_authority(tmp_path)
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
    with monkeypatch.context() as wrong:
        wrong.setattr(authority, "clock", lambda: ahead)
        authority.server_context(tmp_path, ())
    assert leaf_of(tmp_path).not_valid_before_utc > dt.datetime.now(dt.UTC)
    authority.server_context(tmp_path, ())
    assert leaf_of(tmp_path).not_valid_before_utc < dt.datetime.now(dt.UTC)


def test_a_running_desk_serves_a_renewed_leaf_after_a_restart(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "desk")
    bridge.start()
    first = leaf_of(tmp_path / "desk")
    fingerprint = bridge.fingerprint
    bridge.stop()
    bridge = Bridge(tmp_path / "desk", names=("studio.local",))
    bridge.start()
    try:
        host, port = bridge.address.split(":")
        context = pinned_context(load_authority(tmp_path / "desk").certificate)
        with (
            socket.create_connection((host, int(port)), 15) as raw,
            context.wrap_socket(raw, server_hostname=host) as wire,
        ):
            served = x509.load_der_x509_certificate(wire.getpeercert(binary_form=True) or b"")
            assert isinstance(wire, ssl.SSLSocket) and wire.version() == "TLSv1.3"
        assert served == leaf_of(tmp_path / "desk") != first
        assert bridge.fingerprint == fingerprint
    finally:
        bridge.stop()
