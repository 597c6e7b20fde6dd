"""Draws the phone app's icons from docs/icon.svg: `python tools/phone_icons.py`. Needs Chromium."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

REPOSITORY = Path(__file__).resolve().parents[1]
PUBLIC = REPOSITORY / "mobile_runtime" / "phone" / "public"
GROUND = "#2a2089"
# Name, side in pixels, and how much of it the picture takes: systems cut a maskable icon to any shape inside
# its middle 80 %, and Apple rounds the corners of a full square.
ICONS = (
    ("icon-192.png", 192, 1.0, "transparent"),
    ("icon-512.png", 512, 1.0, "transparent"),
    ("icon-maskable-512.png", 512, 0.86, GROUND),
    ("icon-180.png", 180, 1.0, GROUND),
)


def main() -> int:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        print("Drawing icons needs Chromium: install it, or name one in CHROMIUM.", file=sys.stderr)
        return 1
    drawing = (REPOSITORY / "docs" / "icon.svg").read_text(encoding="utf-8")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        for name, side, share, ground in ICONS:
            page = chromium.new_page(viewport={"width": side, "height": side})
            page.set_content(
                f"<style>body{{margin:0;height:100vh;display:grid;place-items:center;background:{ground}}}"
                f"svg{{width:{share:.0%};height:{share:.0%}}}</style>{drawing}"
            )
            page.screenshot(path=PUBLIC / name, omit_background=True)
        chromium.close()
    shutil.copyfile(REPOSITORY / "docs" / "icon.svg", PUBLIC / "icon.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
