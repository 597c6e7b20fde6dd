"""The phone's engine in a real browser, without the app: a page that runs one bundle, driven from Python."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page, sync_playwright

from browser import processes
from browser.conftest import NO_GPU, SOFTWARE_GPU

REPOSITORY = Path(__file__).resolve().parents[2]
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
}
# As the bridge sends them with the app.
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'"
)
_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    processes.EAGER_GARBAGE,
)


def build(folder: Path) -> Path:
    """Build the engine and its page into a folder."""
    config = "tests/engine/harness/vite.config.ts"
    # With the Node and by the lock file that the app is built with.
    command = [sys.executable, str(REPOSITORY / "tools" / "phone.py"), "dev", "build", "--config", config]
    done = subprocess.run([*command, "--outDir", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"The engine cannot be built: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return folder


class _Handler(BaseHTTPRequestHandler):
    """The built page, a bundle's manifest, and its blobs by digest with byte ranges."""

    server: _Server

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if self.headers.get("Sec-Fetch-Dest") == "worker" and self.server.lost(path):
            self.close_connection = True
            return
        try:
            data, kind = self.server.answer(path)
            if self.headers.get("Sec-Fetch-Dest") == "worker" and self.server.silent(path):
                data = b""
        except (KeyError, OSError):
            self.send_error(404)
            return
        status, headers = 200, {}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked:
            begin, end = int(asked[1]), min(int(asked[2]) + 1, len(data))
            status = 206
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
            data = data[begin:end]
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(data)), "Content-Security-Policy": _POLICY}
        for name, value in {**sent, **headers, **(_ISOLATION if self.server.isolated else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, built: Path, bundle: Bundle, isolated: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.built, self.bundle, self.isolated = built, bundle, isolated
        self.blobs = {entry["sha256"]: bundle.path(name) for name, entry in bundle.files.items()}
        self.asked: list[str] = []
        self.losing: dict[str, int] = {}
        self.silenced: set[str] = set()

    def lost(self, path: str) -> bool:
        """Whether this request for a worker's program gets no answer."""
        for name, times in self.losing.items():
            if name in path and times > 0:
                self.losing[name] = times - 1
                return True
        return False

    def silent(self, path: str) -> bool:
        """Whether this worker gets a program that does nothing."""
        return any(name in path for name in self.silenced)

    def answer(self, path: str) -> tuple[bytes, str]:
        if path == "/bundle/manifest.json":
            return self.bundle.data, "application/json"
        if path.startswith("/blobs/"):
            self.asked.append(path.removeprefix("/blobs/"))
            return self.blobs[self.asked[-1]].read_bytes(), "application/octet-stream"
        file = (self.built / path.lstrip("/")).resolve()
        file = file / "index.html" if file == self.built.resolve() else file
        if not file.is_relative_to(self.built.resolve()):
            raise KeyError(path)
        return file.read_bytes(), _TYPES.get(file.suffix, "application/octet-stream")


class EnginePage:
    """A page with the engine; `open` it for a plan, then run."""

    def __init__(self, page: Page, server: _Server, profile: Path) -> None:
        self.page, self._server, self._profile = page, server, profile
        self.said: list[str] = []
        # Seconds that a call may take; None for as long as it likes.
        self.patience: float | None = None
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        self.wait_for("typeof harness !== 'undefined'")

    @property
    def asked(self) -> list[str]:
        """Digests of the blobs that were asked for, in order."""
        return self._server.asked

    def lose(self, program: str, times: int) -> None:
        """Cut the line at the next requests for the program of a worker whose address has this in it."""
        self._server.losing[program] = times

    def silence(self, program: str, silent: bool = True) -> None:
        """Give workers whose address has this in it a program that does nothing, or the real one again."""
        (self._server.silenced.add if silent else self._server.silenced.discard)(program)

    @property
    def to_lose(self) -> dict[str, int]:
        """How often that is still to come, by program."""
        return self._server.losing

    def call(self, name: str, *arguments: Any) -> Any:
        """A function of the page. Raises RuntimeError with the engine's own sentence."""
        script = (
            "async ([name, values, patience]) => { const over = new Promise((_, reject) => patience &&"
            " setTimeout(() => reject(new Error(`${name} does not end`)), 1000 * patience));"
            " try { return {value: await Promise.race([harness[name](...values), over])} }"
            " catch (error) { return {error: `${error.name}: ${error.message}`} } }"
        )
        told = self.page.evaluate(script, [name, list(arguments), self.patience])
        if "error" in told:
            raise RuntimeError(told["error"])
        return told.get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Until an expression of the page is true; the page's policy forbids playwright's own way."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The page has not come to {expression}; it said: {self.said[-5:]}")
            time.sleep(0.05)

    def open(self, plan: str, **options: Any) -> None:
        self.call("open", {"plan": plan, **options})

    def run(self, values: dict[str, Any] | None = None, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Frames `[T, H, W, 3]` uint8, and everything else that the run told."""
        made = self.call("run", values or {}, options)
        pixels = np.frombuffer(base64.b64decode(made.pop("pixels")), np.uint8)
        frames = pixels.reshape(made["count"], made["height"], made["width"], 4)
        return frames[..., :3], made

    def decode(self, photo: bytes) -> np.ndarray:
        """The pixels `[H, W, 3]` uint8 that the engine reads from a photo."""
        made = self.call("decode", base64.b64encode(photo).decode())
        pixels = np.frombuffer(base64.b64decode(made["pixels"]), np.uint8)
        return pixels.reshape(made["height"], made["width"], 4)[..., :3]

    def peak_bytes(self) -> int:
        """The highest resident memory of the page's process so far, as Linux counts it."""
        return processes.peak_bytes(self._profile)

    def kill_gpu(self) -> None:
        """End the process of this browser that speaks to the GPU, as a driver that crashes does."""
        processes.kill(self._profile, "gpu-process")

    def told(self) -> list[dict[str, Any]]:
        """The progress of the last run."""
        text = self.page.evaluate("JSON.stringify(harness.told)")
        return list(json.loads(text))


@contextmanager
def engine_page(
    built: Path, bundle: Bundle, chromium: str, profile: Path, *, gpu: bool = False, isolated: bool = True
) -> Iterator[EnginePage]:
    """A fresh browser on a page with the engine and one bundle; `gpu` is one that works in software."""
    server = _Server(built, bundle, isolated)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=chromium,
                headless=True,
                args=[*_ARGUMENTS, *(SOFTWARE_GPU if gpu else NO_GPU)],
            )
            try:
                yield EnginePage(context.pages[0], server, profile)
            finally:
                context.close()
    finally:
        server.shutdown()
        server.server_close()
