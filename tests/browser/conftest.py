"""A real Chromium on ComfyUI's own frontend, with a fresh profile for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from host.server import ComfyServer

from .editor import Editor

# Two cores may be busy with a model while the page is looked at.
expect.set_options(timeout=20_000)

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_GPU = ("--disable-gpu",)
# WebGPU in software: slow, but the same interface and the same refusals.
SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)


def chromium() -> str:
    """The browser that CHROMIUM names, or the one that is installed."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not named:
        pytest.fail("The browser tests need Chromium: install Debian's chromium, or name one in CHROMIUM.")
    return named


@pytest.fixture
def editor(host: ComfyServer, tmp_path: Path) -> Iterator[Editor]:
    """ComfyUI's editor, loaded and ready, as a person finds it."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium(),
            headless=True,
            args=[*ARGUMENTS, *NO_GPU],
            viewport={"width": 1600, "height": 900},
        )
        try:
            yield Editor(context.pages[0], host).open()
        finally:
            context.close()
