"""A phone as a test holds it: Chromium with a phone's screen and touch, that trusts what its store says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from browser import processes
from browser.conftest import ARGUMENTS, NO_GPU, chromium

SCREEN = {"width": 412, "height": 860}
AGENT = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Mobile Safari/537.36"
)


def trust(home: Path, authority: Path) -> None:
    """Install an authority into the certificate store of a browser whose home folder this is."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True, exist_ok=True)
    if shutil.which("certutil") is None:
        pytest.fail("The phone's tests need certutil: install Debian's libnss3-tools.")
    database = ("-d", f"sql:{store}")
    for command in (
        ("-N", *database, "--empty-password"),
        ("-A", *database, "-t", "C,,", "-n", "PocketVideo", "-i", str(authority)),
    ):
        subprocess.run(["certutil", *command], check=True, capture_output=True)


@contextmanager
def handset(
    home: Path,
    *,
    arguments: tuple[str, ...] = NO_GPU,
    dark: bool = True,
    trusting: bool = True,
    language: str = "en-GB",
) -> Iterator[BrowserContext]:
    """A phone whose files live in `home`; starting it again there is switching it on again."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            home / "profile",
            executable_path=chromium(),
            headless=True,
            args=[*ARGUMENTS, *arguments],
            env={**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home / ".local")},
            viewport=SCREEN,
            device_scale_factor=2,
            has_touch=True,
            is_mobile=True,
            user_agent=AGENT,
            locale=language,
            color_scheme="dark" if dark else "light",
            ignore_https_errors=not trusting,
        )
        context.set_default_timeout(30_000)
        try:
            yield context
        finally:
            context.close()


def kill_tabs(home: Path) -> None:
    """End all tabs of the phone whose files live in `home`, as a system does that needs their memory."""
    processes.kill(home / "profile", "renderer")


def kill_gpu(home: Path) -> None:
    """End the phone's process that speaks to the GPU, as a driver that crashes does."""
    processes.kill(home / "profile", "gpu-process")


def listen(page: Page) -> list[str]:
    """What the page complains about from now on: errors and what its policy refused."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(f"{error}"))
    page.on("console", lambda told: heard.append(told.text) if told.type == "error" else None)
    return heard
