"""Every route behind the common rules: table, token, host, origin, body, path (docs/protocol.md)."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime import bridge as bridge_package
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge
from comfyui_pocketvideo.mobile_runtime.bridge.guards import Access
from comfyui_pocketvideo.mobile_runtime.bridge.routes import PATTERNS, ROUTES, make_app

from unit.bridge.client import Answer, Client
from unit.bridge.conftest import pair_device

DOCUMENT = Path(__file__).parents[3] / "docs" / "protocol.md"


def example(path: str) -> str:
    """A well-formed address for a route's pattern."""
    path = path.replace("{file}", "assets/no-such-file.js")
    for name, pattern in PATTERNS.items():
        if name == "file":
            continue
        length = re.search(r"\{(\d+)\}$", pattern)
        assert length is not None
        path = path.replace(f"{{{name}}}", "a" * int(length[1]))
    return path


def call(client: Client, method: str, path: str, **headers: str | None) -> Answer:
    """A request that breaks no rule of its route apart from `headers`."""
    (route,) = [item for item in ROUTES if item.method == method and example(item.path) == path]
    if not route.body:
        return client.send(method, path, headers=headers)
    return client.send(method, path, b"{}", {"Content-Type": route.body, **headers})


EVERY = [(route.method, example(route.path)) for route in ROUTES]
PAIRED = [(route.method, example(route.path)) for route in ROUTES if route.access is Access.PAIRED]
PUBLIC = [(route.method, example(route.path)) for route in ROUTES if route.access is Access.PUBLIC]
WITH_BODY = [(route.method, example(route.path)) for route in ROUTES if route.body]


def test_t03_the_table_is_what_the_server_serves(bridge: Bridge) -> None:
    assert bridge._core is not None
    served = {
        (route.method, route.resource.canonical)
        for route in make_app(bridge._core).router.routes()
        if route.resource is not None
    }
    assert served == {(route.method, route.path) for route in ROUTES}
    assert {route.access for route in ROUTES} == {Access.PUBLIC, Access.PAIRED}


def test_t03_the_table_is_what_the_document_says() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \| (public|paired) \| ([^|]+) \|", text, re.MULTILINE)

    def limit(words: str) -> int:
        number, _, unit = words.strip().partition(" ")
        return 0 if number == "none" else int(number) * {"KiB": 2**10, "MiB": 2**20}[unit]

    assert {(method, path, access, limit(words)) for method, path, access, words in rows} == {
        (route.method, route.path, route.access.value, route.limit) for route in ROUTES
    }
    assert len(rows) == len(ROUTES)


@pytest.mark.parametrize(("method", "path"), PAIRED)
def test_t03_paired_routes_need_a_token(stranger: Client, method: str, path: str) -> None:
    for credentials in (
        None,
        "Bearer",
        "Bearer ",
        "Bearer " + "0" * 64,
        "Basic " + "0" * 64,
        "Bearer \udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ):
        answer = call(stranger, method, path, Authorization=credentials)
        assert (answer.status, answer.code) == (401, "unauthorized"), credentials
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), PAIRED)
def test_t03_a_token_in_the_address_is_no_token(
    stranger: Client, client: Client, method: str, path: str
) -> None:
    for name in ("token", "access_token", "Authorization"):
        (route,) = [item for item in ROUTES if item.method == method and example(item.path) == path]
        body = b"{}" if route.body else None
        headers: dict[str, str | None] = {"Content-Type": route.body} if route.body else {}
        assert stranger.send(method, f"{path}?{name}={client.token}", body, headers).status == 401


@pytest.mark.parametrize(("method", "path"), PUBLIC)
def test_public_routes_ask_for_no_token(stranger: Client, method: str, path: str) -> None:
    assert call(stranger, method, path).status != 401


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:{port}", "127.0.0.1", "", "[::]:{port}", None]
)
@pytest.mark.parametrize(("method", "path"), EVERY)
def test_t02_a_foreign_host_name_gets_nothing(
    client: Client, method: str, path: str, host: str | None
) -> None:
    name = host.format(port=client.port) if host is not None else None
    answer = call(client, method, path, Host=name)
    # Without any Host the HTTP parser itself may object.
    assert answer.status in ((421, 400) if host is None else (421,))


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "127.0.0.1", "[::1]"])
def test_t02_the_bridges_own_names_are_answered(client: Client, name: str) -> None:
    host = f"{name}:{client.port}"
    assert client.get("/v1/device", Host=host, Origin=f"https://{host}").status == 200


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_t01_a_foreign_origin_gets_nothing(client: Client, method: str, path: str) -> None:
    for origin in (
        "https://evil.example",
        "null",
        "",
        client.origin.replace("https", "http"),
        client.origin + "/",
    ):
        answer = call(client, method, path, Origin=origin)
        assert (answer.status, answer.code) == (403, "wrong_origin"), origin
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [item for item in EVERY if item[0] != "GET"])
def test_t01_a_change_without_origin_is_refused(client: Client, method: str, path: str) -> None:
    answer = call(client, method, path, Origin=None)
    assert (answer.status, answer.code) == (403, "wrong_origin")


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_t01_a_form_or_plain_text_is_no_json(client: Client, method: str, path: str) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        answer = call(client, method, path, **{"Content-Type": kind})
        (route,) = [item for item in ROUTES if item.method == method and example(item.path) == path]
        if kind is None and route.body == "application/octet-stream":
            continue  # HTTP's own default for a body of no stated kind
        assert (answer.status, answer.code) == (415, "wrong_type"), kind


def test_t01_a_preflight_gets_no_permission(client: Client) -> None:
    answer = client.send(
        "OPTIONS", "/v1/pairings", headers={"Access-Control-Request-Method": "POST", "Origin": client.origin}
    )
    assert answer.status == 405
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_every_answer_forbids_caching_and_sniffing(client: Client, method: str, path: str) -> None:
    answer = call(client, method, path, Origin="null")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    assert "Set-Cookie" not in answer.headers and "Server" not in answer.headers


TRAVERSALS = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/bridge.json",
    "%252e%252e%252fbridge.json",
    "..\\..\\bridge.json",
    "..%5c..%5cbridge.json",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cWindows%5cwin.ini",
    "%5c%5cserver%5cshare",
    "a%00",
    "%00" * 64,
    "\uff0e\uff0e".encode().decode("latin-1"),
    "%c0%ae%c0%ae%c0%afbridge.json",
    "A" * 64,
    "a" * 63,
    "a" * 65,
    "a" * 64 + "%0a",
    "a" * 64 + "/",
    "a" * 64 + "/../../bridge.json",
    "",
]


@pytest.mark.parametrize("value", TRAVERSALS)
def test_t07_no_route_takes_a_path_for_an_id(client: Client, value: str) -> None:
    for route in ROUTES:
        if "{" not in route.path:
            continue
        path = re.sub(r"\{\w+\}", lambda _: value, route.path)
        try:
            answer = client.send(
                route.method,
                path,
                b"{}" if route.body else None,
                {"Content-Type": route.body} if route.body else {},
            )
        except ValueError:
            continue  # Python's own HTTP client refuses to send it
        if path != "/":
            assert answer.status in (400, 404, 405), (route.path, value)
        assert b"root:" not in answer.body and b"token_sha256" not in answer.body


def test_unknown_addresses_and_methods_answer_the_protocols_error(client: Client) -> None:
    assert client.get("/prompt").code == "not_found"
    assert client.get("/v2/about").code == "not_found"
    assert client.send("DELETE", "/v1/ca").code == "method_not_allowed"
    assert client.send("HEAD", "/v1/about").status == 405


def test_about_tells_a_stranger_nothing_of_the_desk(stranger: Client) -> None:
    assert stranger.get("/v1/about").json == {"app": "pocketvideo", "protocol": "1.1"}


def test_t16_neither_log_nor_address_ever_holds_a_token(
    bridge: Bridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    pairing = pair_device(bridge, tmp_path / "another")
    sender = Client(pairing.host, pairing.port, _trust(pairing), pairing.token)
    for method, path in EVERY:
        if method != "DELETE":
            call(sender, method, path)
    bridge.revoke(pairing.device_id)
    assert sender.get("/v1/device").status == 401
    assert caplog.records
    assert pairing.token not in caplog.text
    assert pairing.token not in repr(pairing)


def test_tls_below_1_3_and_plain_http_are_refused(pairing: Pairing) -> None:
    old = _trust(pairing)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((pairing.host, pairing.port), 10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain, server_hostname=pairing.host)
    with socket.create_connection((pairing.host, pairing.port), 10) as plain:
        plain.sendall(b"GET /v1/about HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            received = plain.recv(4096)
        except ConnectionError:
            received = b""
        # docs/protocol.md section 14; test_listener.py has more.
        assert received.startswith(b"HTTP/1.1 426 ") and b'"app"' not in received


def _trust(pairing: Pairing) -> ssl.SSLContext:
    from comfyui_pocketvideo.mobile_runtime.agent.desk import pinned_context

    return pinned_context(pairing.certificate)


def test_every_error_code_is_in_the_document() -> None:
    folder = Path(bridge_package.__file__).parent
    text = DOCUMENT.read_text(encoding="utf-8")
    codes = set()
    for path in folder.glob("*.py"):
        codes |= set(re.findall(r"ApiError\(\s*\d{3},\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
    assert codes >= {"wrong_host", "locked", "bad_range", "already_received"}
    assert {code for code in codes if f"`{code}`" not in text} == set()
