"""What a person does with the app again and again, tap by tap."""

from __future__ import annotations

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page, expect

MAKING_MS = 120_000


def generate(page: Page, bundle: Bundle, steps: int | None = None) -> None:
    """Open a workflow of the list and press Generate, with this many steps."""
    page.get_by_role("button", name=bundle.manifest["name"]).click()
    if steps is not None:
        page.get_by_label("Steps").fill(str(steps))
    page.get_by_role("button", name="Generate").click()


def see_video(page: Page, kind: str = "") -> None:
    """Wait for the finished video; `kind` is the element that shows it."""
    expect(page.locator(f"{kind}.video")).to_be_visible(timeout=MAKING_MS)


def delete(page: Page, bundle: Bundle) -> None:
    """Open a workflow of the list and delete it."""
    page.get_by_role("button", name=bundle.manifest["name"]).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()


def open_settings(page: Page) -> None:
    """Go to the page about the phone itself."""
    page.get_by_role("button", name="This phone").click()
