"""Starts and stops a real ComfyUI, headless, on a free loopback port, with this pack as its custom node."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .client import ComfyClient

REPOSITORY = Path(__file__).resolve().parents[2]
PACK_NAME = "comfyui_pocketvideo"
NODE_IDS = (
    "PocketVideoModelLoader",
    "PocketVideoEmptyLatent",
    "PocketVideoImageToVideo",
    "PocketVideoRunOnDevice",
    "PocketVideoSendToDevice",
    "PocketVideoExampleImage",
    "PocketVideoLeap",
    "PocketVideoLeapReport",
    "PocketVideoTemporalTokenMerge",
    "PocketVideoCompareVideos",
    "PocketVideoFewStepSchedule",
    "PocketVideoFewStepSampler",
    "PocketVideoHighLowSplit",
)
SHIM = Path(__file__).resolve().with_name("cpu_shim.py")
START_TIMEOUT = 300.0
STOP_TIMEOUT = 20.0


class HostError(RuntimeError):
    """The host is missing, did not start, or started without the pack."""


@dataclass(frozen=True)
class HostPaths:
    """A ComfyUI folder and the Python that runs it."""

    comfyui: Path
    python: Path


def locate(environ: Mapping[str, str] = os.environ) -> HostPaths:
    """Find the ComfyUI that COMFYUI_PATH names, or else the one that `make setup` fetched.

    COMFYUI_PYTHON names its interpreter; without it a `venv` or `.venv` inside COMFYUI_PATH is used,
    and then the environment that `make setup` made. Raises HostError when there is none.
    """
    named = environ.get("COMFYUI_PATH")
    comfyui = Path(named).expanduser() if named else REPOSITORY / ".comfyui" / "ComfyUI"
    if not (comfyui / "main.py").is_file():
        cause = "COMFYUI_PATH names it, but it" if named else "it was not fetched yet: the folder"
        raise HostError(
            f"No ComfyUI at {comfyui}: {cause} holds no main.py; run `make setup` or correct the path."
        )
    candidates = [REPOSITORY / ".comfyui" / "venv"]
    if named:
        candidates[:0] = [comfyui / "venv", comfyui / ".venv", comfyui.parent / "venv"]
    if "COMFYUI_PYTHON" in environ:
        return HostPaths(comfyui, Path(environ["COMFYUI_PYTHON"]).expanduser())
    for environment in candidates:
        for relative in ("bin/python", "Scripts/python.exe"):
            if (environment / relative).exists():
                return HostPaths(comfyui, environment / relative)
    raise HostError("No Python for ComfyUI was found: run `make setup`, or name one in COMFYUI_PYTHON.")


def free_port() -> int:
    """A loopback port that was free a moment ago. ComfyUI's own `--port 0` never says which port it got."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class ComfyServer:
    """One ComfyUI process with folders of its own below `base`.

    Use it as a context manager, or call `start` and `stop`. `base` receives models, input, output, temp
    and user folders, and the log. The pack is linked into `base/custom_nodes`, so edits are seen without an
    install; so are `extra_packs`, folders of further custom nodes.
    """

    def __init__(
        self,
        base: Path,
        *,
        paths: HostPaths | None = None,
        arguments: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        settings: Mapping[str, object] | None = None,
        required_nodes: Sequence[str] = NODE_IDS,
        extra_packs: Sequence[Path] = (),
    ) -> None:
        self.base = base
        self.paths = paths or locate()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = base / "comfyui.log"
        self._arguments = tuple(arguments)
        self._environ = dict(environ or {})
        self._settings = dict(settings or {})
        self._required_nodes = tuple(required_nodes)
        self._packs = {PACK_NAME: REPOSITORY, **{pack.name: pack for pack in extra_packs}}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def input(self) -> Path:
        return self.base / "input"

    @property
    def models(self) -> Path:
        return self.base / "models"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise HostError("ComfyUI is not running: call start() first.")
        return self._process.pid

    def client(self) -> ComfyClient:
        """A client with an id of its own; several may be used at once."""
        return ComfyClient(self.url)

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def start(self, tick: Callable[[float], None] | None = None) -> ComfyServer:
        """Start the process and return once it answers and serves the pack's nodes.

        `tick` is called a few times a second with the seconds waited, for progress bars. Raises HostError
        with the end of ComfyUI's log when it exits, does not answer in time, or could not import the pack.
        """
        self._prepare_folders()
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.paths.comfyui,
                env=self._process_environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(tick)
            self._check_pack()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process and wait for it: a host that lingers would answer the next test's health check."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> ComfyServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_folders(self) -> None:
        for name in ("models", "custom_nodes", "input", "output", "temp", "user/default"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for name, folder in self._packs.items():
            link = self.base / "custom_nodes" / name
            if not link.exists():
                link.symlink_to(folder, target_is_directory=True)
        # The first-run tutorial covers the canvas and swallows clicks.
        settings = {"Comfy.TutorialCompleted": True, **self._settings}
        (self.base / "user/default/comfy.settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def _command(self) -> list[str]:
        return [
            str(self.paths.python),
            str(SHIM),
            str(self.paths.comfyui / "main.py"),
            "--cpu",
            "--port",
            str(self.port),
            "--base-directory",
            str(self.base),
            # Servers that share a checkout would fight over its database file.
            "--database-url",
            "sqlite:///:memory:",
            "--disable-all-custom-nodes",
            "--whitelist-custom-nodes",
            *self._packs,
            # Drops the cloud nodes, and adds the Content-Security-Policy that pack scripts must live with.
            "--disable-api-nodes",
            "--use-pytorch-cross-attention",
            "--preview-method",
            "latent2rgb",
            "--disable-auto-launch",
            *self._arguments,
        ]

    def _process_environ(self) -> dict[str, str]:
        environ = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
        }
        environ.update({"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"})
        # A test host must find no device that a person paired, and leave nothing in the person's home.
        environ["POCKETVIDEO_STATE_DIR"] = str(self.base / "pocketvideo-state")
        environ.update(self._environ)
        return environ

    def _wait_until_ready(self, tick: Callable[[float], None] | None) -> None:
        assert self._process is not None
        started = time.monotonic()
        while True:
            waited = time.monotonic() - started
            if tick is not None:
                tick(waited)
            code = self._process.poll()
            if code is not None:
                raise HostError(
                    f"ComfyUI ended with code {code} while starting; its log ends:\n{self._log_tail()}"
                )
            try:
                with urllib.request.urlopen(f"{self.url}/system_stats", timeout=5) as response:
                    if response.status == 200:
                        return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                pass
            if waited > START_TIMEOUT:
                raise HostError(
                    f"ComfyUI did not answer within {START_TIMEOUT:.0f} s; its log ends:\n{self._log_tail()}"
                )
            time.sleep(0.25)

    def _check_pack(self) -> None:
        failed = [line for line in self.log().splitlines() if "(IMPORT FAILED)" in line]
        broken = [name for name in self._packs if any(line.endswith(name) for line in failed)]
        if broken:
            raise HostError(
                f"ComfyUI could not import {', '.join(broken)}; its log ends:\n{self._log_tail(80)}"
            )
        if self._required_nodes:
            known = self.client().object_info()
            missing = [node for node in self._required_nodes if node not in known]
            if missing:
                raise HostError(
                    f"ComfyUI started without {', '.join(missing)}; its log ends:\n{self._log_tail(80)}"
                )

    def _log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log().splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit("This module is imported: `make demo` starts a host, and so do the tests in tests/host.")
