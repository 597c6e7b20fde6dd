"""The trust page and the page for plain HTTP, as a phone's browser shows them, under their own policies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .conftest import ARGUMENTS, NO_GPU, chromium

PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 568}


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    app = tmp_path / "app"
    app.mkdir()
    (app / "index.html").write_text("<!doctype html><title>The app</title><link rel=icon href=data:,>")
    # A desk's name is what the computer is called, and that can be anything.
    bridge = Bridge(tmp_path / "desk", desk_name="<img src=x onerror=alert(1)> Studio", app=app)
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, *NO_GPU])
        yield started
        started.close()


def visit(browser: Browser, url: str, viewport: dict[str, int], scheme: str) -> tuple[Page, list[str]]:
    """A page at `url`, past the certificate warning, and what its console says."""
    context = browser.new_context(
        ignore_https_errors=True,
        viewport=viewport,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1.5,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    page.goto(url)
    return page, said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, SMALL_PHONE], ids=["phone", "small"])
def test_t14_the_trust_page_is_readable_on_a_phone_and_runs_nothing(
    browser: Browser, bridge: Bridge, viewport: dict[str, int], scheme: str
) -> None:
    page, said = visit(browser, f"https://{bridge.address}/trust", viewport, scheme)
    try:
        expect(page.get_by_text("<img src=x onerror=alert(1)> Studio", exact=True)).to_be_visible()
        assert page.locator("img, script").count() == 0
        # Its style sheet came through its own policy: the button has the accent's colour.
        button = page.get_by_role("link", name="Show me how")
        assert button.evaluate("node => getComputedStyle(node).backgroundColor") in (
            "rgb(67, 56, 202)",
            "rgb(169, 162, 255)",
        )
        button.click()
        for name in ("Android", "iPhone and iPad", "A computer's browser", "A USB cable (Android)"):
            summary = page.get_by_text(name, exact=True)
            assert summary.bounding_box()["height"] >= 44  # type: ignore[index]
            # By keyboard, as a screen reader does it.
            summary.focus()
            page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Download the profile")).to_be_visible()
        expect(page.get_by_text(f"adb reverse tcp:{bridge.address.split(':')[1]}")).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, "the page scrolls sideways"
        shown = page.locator(".fingerprint").inner_text()
        assert shown.replace(":", "").replace("\n", "").lower() == bridge.fingerprint
        assert said == []
        page.get_by_role("link", name="Continue without installing").click()
        expect(page).to_have_title("The app")
    finally:
        page.context.close()


def test_the_plain_page_leads_to_the_encrypted_one(browser: Browser, bridge: Bridge) -> None:
    page, said = visit(browser, f"http://{bridge.address}/#s=secret&f=print", PHONE, "light")
    try:
        expect(page.get_by_role("heading", name="This address works with https only")).to_be_visible()
        page.get_by_role("link", name=f"https://{bridge.address}/").click()
        expect(page).to_have_title("The app")
        assert page.url == f"https://{bridge.address}/"
        # The browser notes the answer's status; nothing else is said.
        assert [text for text in said if "426" not in text] == []
    finally:
        page.context.close()


def test_the_trust_pages_picture(browser: Browser, tmp_path: Path) -> None:
    """The picture for docs/pairing.md, taken where POCKETVIDEO_SCREENSHOTS names a folder."""
    folder = Path(os.environ.get("POCKETVIDEO_SCREENSHOTS") or tmp_path)
    bridge = Bridge(tmp_path / "desk", desk_name="Studio")
    bridge.start()
    try:
        page, _ = visit(browser, f"https://{bridge.address}/trust", PHONE, "light")
        page.screenshot(
            path=folder / "trust-page.png",
            clip={"x": 0, "y": 0, "width": 390, "height": 1080},
            full_page=True,
        )
        page.context.close()
    finally:
        bridge.stop()
    size = (folder / "trust-page.png").stat().st_size
    assert 20_000 < size < 200_000
