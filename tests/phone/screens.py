"""Pictures of the app's screens for the docs, and what axe says of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "mobile_runtime" / "phone" / "node_modules" / "axe-core" / "axe.min.js"


def look(page: Page, name: str) -> None:
    """Check a screen with axe, and take its picture where POCKETVIDEO_SCREENSHOTS names a folder."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
    serious = [
        f"{one['id']}: {json.dumps([node['target'] for node in one['nodes']])}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious, f"{name}: {serious}"
    if folder := os.environ.get("POCKETVIDEO_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"phone-{name}.png")
