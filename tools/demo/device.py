"""The reference device of the demo: its process, its folder, and pairing it as a person would."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from host.client import ComfyClient
from host.server import REPOSITORY

from .errors import DemoError

NAME = "Reference device"
MODULE = "comfyui_pocketvideo.mobile_runtime.agent"
PAIRING_SECONDS = 60.0
ROUTES = "/pocketvideo/v1"


class ReferenceDevice:
    """An agent in the environment without torch. Use it as a context manager; leaving it ends the process."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self.log = log
        self._running: subprocess.Popen[bytes] | None = None
        self.python = REPOSITORY / ".device" / "venv" / "bin" / "python"
        if not self.python.exists():
            raise DemoError("The device's environment is missing: run `make setup`.")

    def __enter__(self) -> ReferenceDevice:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.log.write_bytes(b"")
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            _end(self._running)

    def pair(self, client: ComfyClient, tick: Callable[[], None]) -> str:
        """Pair with the desk behind `client` and return the device's id.

        The demo does what the user does: it starts pairing at the desk, gives the address to the device,
        compares the codes that both show, and confirms. Raises DemoError.
        """
        offer = desk(client, "POST", "/pair", {})
        # By standard input: the address holds the secret, and every process may read a command line.
        pairing = self._start("pair", "-", "--name", NAME, told=offer["uri"])
        try:
            deadline = time.monotonic() + PAIRING_SECONDS
            while True:
                tick()
                pending = desk(client, "GET", "/pending")["pending"]
                shown = re.search(r"Verification code: (\d{3}) (\d{3})", self.log_text())
                if pending and shown:
                    break
                if pairing.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"The device did not pair; it says: {self.log_text().strip()[-600:]}")
                time.sleep(0.1)
            if pending[0]["verification_code"] != "".join(shown.groups()):
                raise DemoError("Desk and device show different codes: somebody else is pairing; try again.")
            device = desk(client, "POST", "/confirm", {"device_id": pending[0]["device_id"]})["device"]
            if pairing.wait(PAIRING_SECONDS) != 0:
                raise DemoError(f"The device did not pair; it says: {self.log_text().strip()[-600:]}")
        except subprocess.TimeoutExpired:
            raise DemoError("The device did not learn that it was confirmed: run the demo again.") from None
        finally:
            _end(pairing)
        return str(device["device_id"])

    def run(self) -> None:
        """Start waiting for work."""
        self._running = self._start("run")

    def rest(self) -> None:
        """Stop waiting for work: to the desk the device is away."""
        if self._running is not None:
            _end(self._running)
            self._running = None

    def call(self, *arguments: str) -> str:
        """Run a command of the agent to its end; what it said. Raises DemoError."""
        done = subprocess.run(
            [str(self.python), "-m", MODULE, "--home", str(self.home), *arguments],
            cwd=self.home,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise DemoError(f"The device's command {arguments[0]} failed: {done.stderr.strip()[-600:]}")
        return done.stdout

    def check(self) -> None:
        """Raise DemoError if the device has ended."""
        if self._running is not None and self._running.poll() is not None:
            raise DemoError(f"The device ended; it says: {self.log_text().strip()[-600:]}")

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _start(self, *arguments: str, told: str = "") -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [str(self.python), "-m", MODULE, "--home", str(self.home), *arguments],
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        assert process.stdin is not None
        process.stdin.write(told.encode() + b"\n")
        process.stdin.close()
        return process


def forget_all(client: ComfyClient) -> None:
    """Revoke the devices of earlier demos, so that "the paired device" is the one that pairs now."""
    for device in desk(client, "GET", "/devices")["devices"]:
        desk(client, "POST", "/revoke", {"device_id": device["device_id"]})


def desk(client: ComfyClient, method: str, path: str, body: Any = None) -> Any:
    """Call one of the pack's own routes with the headers that ComfyUI's page sends."""
    headers = {"X-PocketVideo": "1", "Origin": client.url}
    if method == "GET":
        return client.get_json(ROUTES + path, headers=headers)
    return client.post_json(ROUTES + path, body, headers={**headers, "Content-Type": "application/json"})


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
