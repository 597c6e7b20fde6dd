"""The desk's side of the phone's tests: the app as it ships, a real bridge, and bundles to send."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page, expect

from phone import quickstart as quickstart_bundle
from phone.handset import trust
from unit.engine import small

REPOSITORY = Path(__file__).resolve().parents[2]
DIST = REPOSITORY / "mobile_runtime" / "phone" / "dist"


class Desk:
    """The desk as its user works at it: shows a code, confirms, sends workflows."""

    def __init__(self, folder: Path, app: Path = DIST, **options: Any) -> None:
        self.folder = folder
        self.app = app
        self.results: list[tuple[bytes, Any]] = []
        self._options = {"desk_name": "Studio", "app": app, "on_result": self._keep, **options}
        self.bridge = Bridge(folder, **self._options)
        self.bridge.start()

    def _keep(self, path: Path, announced: Any, device: Any) -> None:
        self.results.append((path.read_bytes(), announced))

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    def restart(self, **options: Any) -> None:
        """Start again after a stop, at the same address."""
        self._options.update(options)
        self.bridge = Bridge(self.folder, **self._options)
        self.bridge.start()

    def code(self) -> str:
        """The address in the code that the desk shows."""
        return self.bridge.begin_pairing().uri

    def confirm(self, shown: str) -> str:
        """Compare the digits, confirm, and tell the device's id."""
        pending = wait_for(self.bridge.pending)[0]
        assert pending.verification_code == shown.replace(" ", "").replace("\n", "")
        self.bridge.confirm(pending.device_id)
        return str(pending.device_id)

    def send(self, bundle: Bundle) -> Work:
        """Send a workflow to the paired phone, which keeps it."""
        return Work(lambda events: self.bridge.install(None, bundle, events.append))

    def run(self, bundle: Bundle, values: dict[str, Any]) -> Work:
        """Have the paired phone make a video for the desk."""
        return Work(lambda events: self.bridge.push(None, bundle, values, events.append))


class Work(threading.Thread):
    """A job of the desk, waiting in a thread as ComfyUI's executor does."""

    def __init__(self, carry_out: Callable[[list[Any]], Any]) -> None:
        super().__init__(daemon=True)
        self._carry_out = carry_out
        self.events: list[Any] = []
        self.result: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._carry_out(self.events)
        except Exception as error:
            self.error = error

    def finish(self, seconds: float = 180.0) -> Any:
        """What came of it; raises the error that ended it."""
        self.join(seconds)
        assert not self.is_alive(), f"the job is not over; it told {self.events[-3:]}"
        if self.error is not None:
            raise self.error
        return self.result


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of a condition that another thread brings about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{condition} did not come true within {seconds} s")


def pair(page: Page, desk: Desk) -> str:
    """Open the code's address on the phone and pair as a person would; the device's id."""
    page.goto(desk.code())
    page.get_by_role("button", name="Pair").click()
    device = desk.confirm(page.get_by_test_id("code").inner_text())
    expect(page.get_by_role("heading", name="Workflows", exact=True)).to_be_visible()
    return device


def until(page: Page, question: str, seconds: float = 60.0) -> None:
    """Wait until a question is answered with true; it may be asynchronous.

    Playwright's `wait_for_function` takes the promise for the answer, and so waits for nothing.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(question):
        assert time.monotonic() < end, f"not true within {seconds} s: {question}"
        page.wait_for_timeout(50)


def offline_ready(page: Page, runtimes: int = 1) -> None:
    """Wait until the service worker has taken the page over and has kept the app with its runtimes."""
    until(
        page,
        f"""async () => {{
          const kept = (await caches.keys()).filter((name) => name.startsWith("pocketvideo-"));
          if (kept.length !== 1 || navigator.serviceWorker.controller?.state !== "activated") return false;
          const urls = (await (await caches.open(kept[0])).keys()).map((request) => request.url);
          return urls.filter((url) => url.endsWith(".wasm")).length === {runtimes};
        }}""",
    )


@pytest.fixture(scope="session")
def app() -> Path:
    """The app, built as it ships."""
    subprocess.run([sys.executable, str(REPOSITORY / "tools" / "phone.py"), "build"], check=True)
    return DIST


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return quickstart_bundle.build(tmp_path_factory.mktemp("quickstart"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with a photo whose networks are formulas: a run takes a moment."""
    return small.build(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def desk(app: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk of its own for each test."""
    desk = Desk(tmp_path / "desk", app)
    yield desk
    desk.bridge.stop()


@pytest.fixture
def home(desk: Desk, tmp_path: Path) -> Path:
    """The files of a phone that trusts the desk's authority."""
    home = tmp_path / "phone"
    home.mkdir()
    trust(home, desk.authority)
    return home
