"""What a browser gets: the app from an index, the trust page, the authority's downloads (T7, T14, T19)."""

from __future__ import annotations

import gzip
import hashlib
import logging
import plistlib
import re
import socket
import struct
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.desk import pinned_context
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, pages
from comfyui_pocketvideo.mobile_runtime.bridge.authority import load_authority
from cryptography import x509

from unit.bridge.client import Client

FILES = {
    "index.html": b"<!doctype html><title>app</title>",
    "sw.js": b"self.addEventListener('fetch', () => {})",
    "manifest.webmanifest": b"{}",
    "assets/app-1a2b3c4d.js": b"export {}",
    "assets/ort-1a2b3c4d.wasm": b"\0asm" + bytes(200_000),
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A built app, and beside its files what must never be served."""
    folder = tmp_path / "dist"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    secret = tmp_path / "secret.txt"
    secret.write_text("root:")
    (folder / "link.txt").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / ".env").write_text("root:")
    (folder / "odd name.txt").write_text("root:")
    return folder


@pytest.fixture
def bridge(tmp_path: Path, app: Path) -> Iterator[Bridge]:
    bridge = Bridge(tmp_path / "desk", desk_name='<script>alert("x")</script>', app=app)
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture
def visitor(bridge: Bridge, tmp_path: Path) -> Client:
    host, port = bridge.address.split(":")
    return Client(host, int(port), pinned_context(load_authority(tmp_path / "desk").certificate))


def test_the_app_is_served_whole_with_its_types(visitor: Client) -> None:
    types = {
        "index.html": "text/html; charset=utf-8",
        "sw.js": "text/javascript; charset=utf-8",
        "manifest.webmanifest": "application/manifest+json",
        "assets/app-1a2b3c4d.js": "text/javascript; charset=utf-8",
        "assets/ort-1a2b3c4d.wasm": "application/wasm",
    }
    for name, data in FILES.items():
        answer = visitor.get(f"/{name}")
        assert (answer.status, answer.body) == (200, data), name
        assert answer.headers["Content-Type"] == types[name]
    assert visitor.get("/").body == FILES["index.html"]


def test_a_browser_that_goes_away_in_the_middle_leaves_no_trace(
    bridge: Bridge, app: Path, visitor: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bridge.stop()
    (app / "assets/ort-1a2b3c4d.wasm").write_bytes(bytes(64 * 1024 * 1024))
    bridge.start()
    host, port = bridge.address.split(":")
    context = pinned_context(load_authority(tmp_path / "desk").certificate)
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        plain = socket.create_connection((host, int(port)), timeout=20)
        # Closed with unread bytes, as a tab that ends: the desk's next write fails.
        with context.wrap_socket(plain, server_hostname=host) as connection:
            ask = f"GET /assets/ort-1a2b3c4d.wasm HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
            connection.sendall(ask.encode())
            assert connection.recv(64 * 1024)
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    bridge.stop()
    assert [record.getMessage() for record in caplog.records] == []


def test_texts_come_packed_where_the_browser_can_unpack(visitor: Client) -> None:
    asking = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    for name, data in FILES.items():
        answer = visitor.get(f"/{name}", **asking)
        text = not name.endswith(".wasm")
        assert (answer.headers.get("Content-Encoding") == "gzip") is text, name
        assert (gzip.decompress(answer.body) if text else answer.body) == data
        again = visitor.get(f"/{name}", **asking, **{"If-None-Match": answer.headers["ETag"]})
        assert (again.status, again.body) == (304, b""), name
        if text:
            # A cache on the way must not hand the packed bytes to whom cannot read them.
            assert answer.headers["Vary"] == again.headers["Vary"] == "Accept-Encoding"
            assert visitor.get(f"/{name}").headers["Vary"] == "Accept-Encoding"
        for header in ("Content-Security-Policy", "Cache-Control", "Content-Type"):
            assert answer.headers[header] == visitor.get(f"/{name}").headers[header]


def test_t14_every_answer_of_the_app_has_the_strict_policy(visitor: Client) -> None:
    for name in ("", *FILES):
        headers = visitor.get(f"/{name}").headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'self'"
        assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert policy["worker-src"] == "'self' blob:"
        assert policy["connect-src"] == f"'self' wss://{visitor.host}:{visitor.port}"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
        assert "unsafe-inline" not in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_t19_only_files_named_by_their_content_may_be_kept_unasked(visitor: Client) -> None:
    for name in ("", "index.html", "sw.js", "manifest.webmanifest"):
        first = visitor.get(f"/{name}")
        assert first.headers["Cache-Control"] == "no-cache" and first.headers["ETag"]
        again = visitor.get(f"/{name}", **{"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
    for name in ("assets/app-1a2b3c4d.js", "assets/ort-1a2b3c4d.wasm"):
        assert visitor.get(f"/{name}").headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_t19_a_new_build_is_seen_at_the_next_request(visitor: Client, app: Path) -> None:
    old = visitor.get("/sw.js")
    (app / "sw.js").write_bytes(b"// a newer one, of another length")
    new = visitor.get("/sw.js", **{"If-None-Match": old.headers["ETag"]})
    assert new.status == 200 and new.body == b"// a newer one, of another length"


@pytest.mark.parametrize(
    "path",
    [
        "/link.txt",
        "/up/secret.txt",
        "/.env",
        "/odd%20name.txt",
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets\\..\\..\\secret.txt",
        "//etc/passwd",
        "/C:/Windows/win.ini",
        "/index.html/",
        "/index.html%00.js",
        "/assets",
        "/assets/",
        "/bridge.json",
        "/v1/../index.html",
    ],
)
def test_t07_nothing_but_the_index_is_served(visitor: Client, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status in (400, 404), path
    assert b"root:" not in answer.body


def test_t07_a_file_that_comes_later_is_not_served(visitor: Client, app: Path) -> None:
    (app / "later.js").write_text("1")
    assert visitor.get("/later.js").status == 404


class Reader(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_t14_the_trust_page_runs_nothing_and_shows_hostile_names_as_text(visitor: Client) -> None:
    answer = visitor.get("/trust")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
    text = answer.body.decode()
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in text
    reader = Reader()
    reader.feed(text)
    assert not [tag for tag, _ in reader.tags if tag in ("script", "iframe", "object", "form", "base")]
    for tag, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        target = attributes.get("href") or ""
        assert re.fullmatch(r"(/[a-z.]*|#[a-z]+|)", target), target
    assert visitor.get("/trust.css").headers["Content-Type"] == "text/css; charset=utf-8"


def test_the_trust_page_shows_what_to_compare(visitor: Client, bridge: Bridge) -> None:
    text = visitor.get("/trust").body.decode()
    shown = re.search(r'class="fingerprint"[^>]*>([^/]*(?:<br>[^<]*)*)</p>', text)
    assert shown is not None
    assert re.sub(r"[^0-9A-F]", "", shown[1].replace("<br>", "")).lower() == bridge.fingerprint
    assert bridge.address in text and "{{" not in text
    # Every link on it leads somewhere.
    for path in set(re.findall(r'href="(/[^"]*)"', text)):
        assert visitor.get(path).status == 200, path
    for anchor in re.findall(r'href="#([^"]*)"', text):
        assert f'id="{anchor}"' in text


def test_without_a_built_app_the_trust_page_is_the_home_page(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "desk", app=tmp_path / "nothing")
    bridge.start()
    try:
        host, port = bridge.address.split(":")
        client = Client(host, int(port), pinned_context(load_authority(tmp_path / "desk").certificate))
        assert client.get("/").body == client.get("/trust").body
        assert b"Continue without installing" not in client.get("/").body
    finally:
        bridge.stop()


def test_the_downloads_hold_the_authority_and_nothing_else(visitor: Client, bridge: Bridge) -> None:
    short = bridge.fingerprint[:8]
    crt = visitor.get("/ca.crt")
    assert crt.headers["Content-Type"] == "application/x-x509-ca-cert"
    assert crt.headers["Content-Disposition"] == f'attachment; filename="pocketvideo-{short}.crt"'
    assert hashlib.sha256(crt.body).hexdigest() == bridge.fingerprint
    assert (
        x509.load_der_x509_certificate(crt.body)
        .extensions.get_extension_for_class(x509.BasicConstraints)
        .value.ca
    )
    profile = visitor.get("/ca.mobileconfig")
    assert profile.headers["Content-Type"] == "application/x-apple-aspen-config"
    assert profile.body == visitor.get("/ca.mobileconfig").body
    document = plistlib.loads(profile.body)
    (payload,) = document["PayloadContent"]
    assert payload["PayloadType"] == "com.apple.security.root" and payload["PayloadContent"] == crt.body
    assert payload["PayloadUUID"] != document["PayloadUUID"]
    assert b"PRIVATE" not in profile.body + crt.body


def test_an_app_of_far_too_many_files_is_named(tmp_path: Path, app: Path) -> None:
    for number in range(pages.MAX_FILES):
        (app / f"f{number}.js").touch()
    with pytest.raises(BridgeError, match="files"):
        Bridge(tmp_path / "other", app=app).start()
