"""The Hub download against a server on loopback that speaks the Hub's protocol for one repository."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from comfyui_pocketvideo.desk.hub import HubError, HubFile, fetch

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILE = HubFile("someone/small-video", "weights/tiny.safetensors", REVISION)
CONTENT = os.urandom(300_000)


class FakeHub(ThreadingHTTPServer):
    """Serves CONTENT; a test may bend its answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commit = REVISION
        self.digest = hashlib.sha256(CONTENT).hexdigest()
        self.requests: list[str] = []
        self.status = 200
        self.error = ""
        self.size = len(CONTENT)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        if self._head():
            self.wfile.write(CONTENT)

    def _head(self) -> bool:
        self.server.requests.append(f"{self.command} {self.path}")
        known = self.path == f"/{FILE.repository}/resolve/{REVISION}/{FILE.name}"
        status = self.server.status if known else 404
        self.send_response(status)
        if status != 200:
            if self.server.error:
                self.send_header("X-Error-Code", self.server.error)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False
        self.send_header("X-Repo-Commit", self.server.commit)
        self.send_header("X-Linked-Etag", f'"{self.server.digest}"')
        self.send_header("X-Linked-Size", str(self.server.size))
        self.send_header("ETag", f'"{self.server.digest}"')
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        return True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    server = FakeHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetches_once_with_progress(hub: FakeHub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    path = fetch(FILE, tmp_path, lambda done, total: seen.append((done, total)), endpoint=hub.url)

    assert path == tmp_path / "hub/someone--small-video" / REVISION / "weights/tiny.safetensors"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    asked = len(hub.requests)
    assert fetch(FILE, tmp_path, endpoint=hub.url) == path
    assert len(hub.requests) == asked


def test_a_damaged_file_is_thrown_away(hub: FakeHub, tmp_path: Path) -> None:
    hub.digest = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(HubError, match="arrived damaged"):
        fetch(FILE, tmp_path, endpoint=hub.url)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_another_commit_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.commit = "f" * 40
    with pytest.raises(HubError, match="another revision"):
        fetch(FILE, tmp_path, endpoint=hub.url)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_huge_file_is_refused_before_it_is_fetched(hub: FakeHub, tmp_path: Path) -> None:
    hub.size = 2**40
    with pytest.raises(HubError, match="more than the"):
        fetch(FILE, tmp_path, endpoint=hub.url)
    assert all(request.startswith("HEAD") for request in hub.requests)


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (404, "EntryNotFound", "no such file"),
        (404, "RevisionNotFound", "no such revision"),
        (404, "RepoNotFound", "no such public repository"),
        (403, "GatedRepo", "licence agreement"),
        (500, "", "answered 500"),
    ],
)
def test_refusals_of_the_hub_are_one_sentence(
    hub: FakeHub, tmp_path: Path, status: int, error: str, cause: str
) -> None:
    hub.status, hub.error = status, error
    with pytest.raises(HubError, match=cause) as raised:
        fetch(FILE, tmp_path, endpoint=hub.url)
    assert "\n" not in str(raised.value)
    assert "tiny.safetensors of someone/small-video" in str(raised.value)


def test_offline_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"the Hub cannot be reached: check the connection, or put the file"):
        fetch(FILE, tmp_path, endpoint="http://127.0.0.1:9")


def test_the_users_stop_ends_a_download(hub: FakeHub, tmp_path: Path) -> None:
    class Stopped(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        fetch(FILE, tmp_path, stop, endpoint=hub.url)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("revision", ["main", "v1.0", "", REVISION[:-1], REVISION.upper(), REVISION + "\n"])
def test_a_moving_revision_is_refused(revision: str) -> None:
    with pytest.raises(HubError, match="not a pinned revision"):
        HubFile("a/b", "x.safetensors", revision)


@pytest.mark.parametrize("name", ["model.bin", "model.pth", "model.safetensors.pkl", "model.ckpt"])
def test_t11_only_safetensors_are_fetched(name: str) -> None:
    with pytest.raises(HubError, match="only those are fetched"):
        HubFile("a/b", name, REVISION)


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/x.safetensors", "C:\\x.safetensors", "a\0.safetensors"]
)
def test_t07_a_file_name_cannot_lead_out(name: str) -> None:
    with pytest.raises(HubError, match="not a file of a repository"):
        HubFile("a/b", name, REVISION)


@pytest.mark.parametrize(
    "repository", ["", "b", "a/b/c", "../b", "a/..", "http://evil.example/a", "a/b?x", "a b/c", "a/b\n"]
)
def test_t13_a_repository_is_a_name_and_never_an_address(repository: str) -> None:
    with pytest.raises(HubError, match="not a repository"):
        HubFile(repository, "x.safetensors", REVISION)
