"""Pushing and pulling bundles, against a server on loopback that speaks the Hub's protocol."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.pocketvideo.export.errors import ExportError
from comfyui_pocketvideo.pocketvideo.export.hub import pull_bundle, push_bundle

from unit.engine import small

REPOSITORY = "someone/small-bundle"


class FakeHub(ThreadingHTTPServer):
    """One repository with one branch; large files travel as the Hub's LFS does it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exists = False
        self.visibility: str | None = None
        self.commits: dict[str, dict[str, bytes]] = {}
        self.head = ""
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.refuse: int | None = None
        self.cut: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, files: dict[str, bytes]) -> str:
        self.head = hashlib.sha1(repr(sorted(files)).encode() + str(len(self.commits)).encode()).hexdigest()
        self.commits[self.head] = files
        return self.head

    def fetched(self) -> list[str]:
        return [
            line.split("/", 5)[5] for line in self.requests if line.startswith("GET") and "/resolve/" in line
        ]


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub = self.server
        hub.requests.append(f"POST {self.path}")
        if hub.refuse is not None:
            self.answer(hub.refuse, {})
        elif self.path == "/api/repos/create":
            hub.exists, hub.visibility = True, json.loads(body).get("visibility")
            self.answer(200, {"url": f"{hub.url}/{REPOSITORY}"})
        elif self.path == f"/api/models/{REPOSITORY}/preupload/main":
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for each in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})
        elif self.path == f"/{REPOSITORY}.git/info/lfs/objects/batch":
            objects = []
            for each in json.loads(body)["objects"]:
                wanted = {"upload": {"href": f"{hub.url}/put/{each['oid']}"}}
                objects.append(each if each["oid"] in hub.large else each | {"actions": wanted})
            self.answer(200, {"transfer": "basic", "objects": objects})
        elif self.path == f"/api/models/{REPOSITORY}/commit/main":
            files = dict(hub.commits.get(hub.head, {}))
            for line in body.decode().splitlines():
                each = json.loads(line)
                if each["key"] == "file":
                    files[each["value"]["path"]] = base64.b64decode(each["value"]["content"])
                elif each["key"] == "lfsFile":
                    files[each["value"]["path"]] = hub.large[each["value"]["oid"]]
            oid = hub.commit(files)
            self.answer(200, {"commitUrl": f"{hub.url}/{REPOSITORY}/commit/{oid}", "commitOid": oid})
        else:
            self.answer(404, {})

    def do_PUT(self) -> None:
        self.server.requests.append(f"PUT {self.path}")
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert hashlib.sha256(data).hexdigest() == self.path.removeprefix("/put/")
        self.server.large[self.path.removeprefix("/put/")] = data
        self.answer(200, {})

    def do_HEAD(self) -> None:
        self.file(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/"):
            self.server.requests.append(f"GET {self.path}")
            if self.server.exists:
                self.answer(200, {"id": REPOSITORY, "sha": self.server.head})
            else:
                self.answer(401, {}, {"X-Error-Code": "RepoNotFound"})
        else:
            self.file(body=True)

    def file(self, body: bool) -> None:
        hub = self.server
        hub.requests.append(f"{self.command} {self.path}")
        _, _, _, _, revision, name = self.path.split("/", 5)
        files = hub.commits.get(revision, {})
        if name not in files:
            self.answer(404, {}, {"X-Error-Code": "EntryNotFound"})
            return
        data = files[name]
        self.send_response(200)
        self.send_header("X-Repo-Commit", revision)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            if hub.cut == name:
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                self.connection.close()
            else:
                self.wfile.write(data)

    def answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    # The Hub's newer storage has a protocol of its own; without it the library speaks plain HTTP.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_one")
    server = FakeHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    small.build(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_is_pushed_comes_back_verified(hub: FakeHub, bundle: Path, tmp_path: Path) -> None:
    commit = push_bundle(bundle, REPOSITORY, private=True, endpoint=hub.url)
    assert commit == hub.head and hub.visibility == "private"
    seen: list[tuple[int, int]] = []
    pulled = pull_bundle(
        REPOSITORY,
        tmp_path / "pulled",
        endpoint=hub.url,
        progress=lambda done, total, words: seen.append((done, total)),
    )
    assert pulled.id == Bundle.open(bundle).id
    pulled.verify()
    files = {path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()}
    assert {
        path.relative_to(tmp_path / "pulled") for path in (tmp_path / "pulled").rglob("*") if path.is_file()
    } == files
    total = sum(entry["bytes"] for entry in pulled.files.values())
    assert seen[0] == (0, total) and seen[-1] == (total, total)


def test_files_that_the_hub_has_are_not_sent_again(hub: FakeHub, bundle: Path) -> None:
    push_bundle(bundle, REPOSITORY, endpoint=hub.url)
    sent = sum(line.startswith("PUT") for line in hub.requests)
    assert sent > 0
    (bundle / "workflow.json").write_text('{"1": 2}', encoding="utf-8")
    from comfyui_pocketvideo.mobile_runtime.bundle import write_bundle

    write_bundle(bundle, small.manifest())
    push_bundle(bundle, REPOSITORY, endpoint=hub.url)
    assert sum(line.startswith("PUT") for line in hub.requests) == sent


def test_a_damaged_bundle_is_not_pushed(hub: FakeHub, bundle: Path) -> None:
    path = next((bundle / "weights").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ExportError, match="was not pushed"):
        push_bundle(bundle, REPOSITORY, endpoint=hub.url)
    assert not hub.requests


def test_an_interrupted_pull_goes_on_with_what_is_missing(hub: FakeHub, bundle: Path, tmp_path: Path) -> None:
    push_bundle(bundle, REPOSITORY, endpoint=hub.url)
    names = [entry["path"] for entry in Bundle.open(bundle).manifest["files"]]
    hub.cut = names[3]

    def stop(done: int, total: int, words: str) -> None:
        if words.endswith(names[3]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_bundle(REPOSITORY, tmp_path / "pulled", endpoint=hub.url, progress=stop)
    assert not (tmp_path / "pulled").exists()
    hub.cut = None
    before = len(hub.requests)
    pull_bundle(REPOSITORY, tmp_path / "pulled", endpoint=hub.url).verify()
    hub.requests = hub.requests[before:]
    assert not set(names[:3]) & set(hub.fetched())
    assert set(names[3:]) <= set(hub.fetched())
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_a_tampered_file_leaves_no_bundle(hub: FakeHub, bundle: Path, tmp_path: Path) -> None:
    push_bundle(bundle, REPOSITORY, endpoint=hub.url)
    files = hub.commits[hub.head]
    name = next(name for name in files if name.endswith(".safetensors"))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    with pytest.raises(ExportError, match="was not pulled"):
        pull_bundle(REPOSITORY, tmp_path / "pulled", endpoint=hub.url)
    assert not (tmp_path / "pulled").exists()
    files[name] += b"more"
    with pytest.raises(ExportError, match="should have"):
        pull_bundle(REPOSITORY, tmp_path / "again", endpoint=hub.url)


def test_an_old_bundle_is_replaced_and_a_folder_of_something_else_is_not(
    hub: FakeHub, bundle: Path, tmp_path: Path
) -> None:
    push_bundle(bundle, REPOSITORY, endpoint=hub.url)
    old = tmp_path / "old"
    small.build(old, guided=False)
    assert pull_bundle(REPOSITORY, old, endpoint=hub.url).id == Bundle.open(bundle).id
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ExportError, match="holds other files"):
        pull_bundle(REPOSITORY, other, endpoint=hub.url)
    assert (other / "letter.txt").exists()


def test_a_repository_without_a_bundle_or_none_at_all_is_named(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such repository"):
        pull_bundle(REPOSITORY, tmp_path / "pulled", endpoint=hub.url)
    hub.exists = True
    hub.commit({"README.md": b"hello"})
    with pytest.raises(ExportError, match="lacks a file of a bundle"):
        pull_bundle(REPOSITORY, tmp_path / "pulled", endpoint=hub.url)
    for name in ("small", "../x", "a/b/c", "http://x/y"):
        with pytest.raises(ExportError, match="owner/name"):
            pull_bundle(name, tmp_path / "pulled", endpoint=hub.url)


def test_a_refused_push_says_what_to_do(hub: FakeHub, bundle: Path) -> None:
    hub.refuse = 403
    with pytest.raises(ExportError, match="403; run `hf auth login`"):
        push_bundle(bundle, REPOSITORY, endpoint=hub.url)


def test_the_command(hub: FakeHub, bundle: Path, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_not_a_real_one"}
        return subprocess.run(
            [sys.executable, "-m", "comfyui_pocketvideo.pocketvideo.export.hub", *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )

    pushed = run("push", str(bundle), REPOSITORY)
    assert pushed.returncode == 0 and hub.head in pushed.stdout, pushed.stderr
    pulled = run("pull", REPOSITORY, "--out", str(tmp_path / "pulled"))
    assert pulled.returncode == 0 and Bundle.open(bundle).id in pulled.stdout, pulled.stderr
    wrong = run("pull", "nonsense", "--out", str(tmp_path / "more"))
    assert wrong.returncode == 1 and "owner/name" in wrong.stderr
