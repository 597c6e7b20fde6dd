"""The list of videos: what is made and deleted changes it, and costs what one video costs."""

from __future__ import annotations

import json
from pathlib import Path

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import expect

from phone.conftest import Desk, pair, until
from phone.handset import handset

# Counts how often the app reads all that it ever made.
COUNT = """() => {
  globalThis.readAll = 0;
  const native = IDBObjectStore.prototype.getAll;
  IDBObjectStore.prototype.getAll = function (...given) {
    globalThis.readAll++;
    return native.apply(this, given);
  };
}"""

# Whether a video is shown that is none of these.
SHOWN = """(before) => {
  const src = document.querySelector(".video")?.src ?? null;
  return src !== null && !before.includes(src);
}"""


def test_videos_come_and_go_one_by_one(desk: Desk, home: Path, tiny: Bundle) -> None:
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        desk.send(tiny).finish()
        page.get_by_role("button", name=tiny.manifest["name"]).click()
        page.evaluate(COUNT)
        sources = []
        for _ in range(2):
            page.get_by_role("button", name="Generate").click()
            # The button comes back when the video is kept; at first it may be that of before.
            until(page, f"() => ({SHOWN})({json.dumps(sources)})")
            expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=60_000)
            sources.append(page.locator(".video").get_attribute("src"))
        assert len(set(sources)) == 2
        page.get_by_role("button", name="Back").click()
        page.get_by_role("button", name="Videos").click()
        tiles = page.locator(".tiles li")
        expect(tiles).to_have_count(2)
        tiles.first.get_by_role("button").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(tiles).to_have_count(1)
        assert page.evaluate("globalThis.readAll") == 0
        page.reload()
        page.get_by_role("button", name="Videos").click()
        expect(tiles).to_have_count(1)
