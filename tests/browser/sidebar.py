"""The PocketVideo tab in ComfyUI's sidebar, as a person uses it."""

from __future__ import annotations

import io
import os
import re

import zxingcpp
from PIL import Image
from playwright.sync_api import Locator, expect

from host.server import REPOSITORY

from .editor import SCREENSHOTS, Editor

# An export on a busy machine.
SEND_MS = 300_000
# Everything that a page can keep, of every kind there is.
STORAGE = """async () => {
  const found = [JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage}), document.cookie];
  for (const {name} of await indexedDB.databases()) {
    const base = await new Promise((done, fail) => {
      const asked = indexedDB.open(name);
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => fail(asked.error);
    });
    for (const store of base.objectStoreNames) {
      found.push(JSON.stringify(await new Promise((done, fail) => {
        const asked = base.transaction(store).objectStore(store).getAll();
        asked.onsuccess = () => done(asked.result);
        asked.onerror = () => fail(asked.error);
      })));
    }
    base.close();
  }
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) found.push(request.url);
  }
  return found.join("\\n");
}"""
# What a screen reader could say nothing about.
NAMELESS = """panel => [...panel.querySelectorAll('button, a, input, select, video, img, svg')]
  .filter(item => item.checkVisibility())
  .filter(item => !(item.textContent.trim() || item.ariaLabel || item.alt || item.labels?.length))
  .map(item => item.outerHTML)"""
# Of all buttons and texts, those that stick out of the panel.
SPILLED = """panel => {
  const edge = panel.getBoundingClientRect().right + 0.5;
  return [...panel.querySelectorAll('*')].filter(item => item.checkVisibility())
    .filter(item => item.getBoundingClientRect().right > edge).map(item => item.outerHTML.slice(0, 200));
}"""


# Where the last thing of the view ends.
FILLED = """panel => {
  const shown = '.pv-body > :not([hidden])';
  return Math.max(...[...panel.querySelectorAll(`${shown}, ${shown} *`)]
    .filter(item => item.checkVisibility()).map(item => item.getBoundingClientRect().bottom));
}"""


class Sidebar:
    """The tab's panel. Opening it twice does no harm."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.page = editor.page
        self.panel = editor.page.get_by_role("region", name="PocketVideo", exact=True)
        self.status = self.panel.get_by_role("status")

    def open(self) -> Sidebar:
        """Press the sidebar's icon."""
        if not self.panel.is_visible():
            self.page.locator(".pocketvideo-tab-button").click()
        expect(self.panel).to_be_visible()
        return self

    def tab(self, name: str) -> Sidebar:
        """Show one of the lists: Devices, Sends, Results."""
        self.panel.get_by_role("tab", name=name).click()
        return self

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button of what is shown now."""
        return self.panel.get_by_role("button", name=name)

    def card(self, words: str) -> Locator:
        """The device, send or result whose card says so."""
        return self.panel.get_by_role("listitem").filter(has_text=words).first

    def scan(self) -> str:
        """What a camera reads from the shown code."""
        code = self.panel.get_by_role("img", name="Pairing code")
        expect(code).to_be_visible()
        picture = Image.open(io.BytesIO(code.screenshot()))
        # Among so many black squares a reader of every kind of code sees bars, too.
        (text,) = {found.text for found in zxingcpp.read_barcodes(picture, zxingcpp.BarcodeFormat.QRCode)}
        return str(text)

    def offer(self) -> str:
        """Begin pairing on this computer's own address and return the code's text."""
        self.open().tab("Devices").button("Pair a device").click()
        address = self.panel.get_by_label("The device reaches this computer at")
        expect(self.panel.get_by_role("img", name="Pairing code")).to_be_visible()
        if address.input_value() != "127.0.0.1":
            address.select_option("127.0.0.1")
            expect(self.panel.get_by_text("https://127.0.0.1:")).to_have_count(2)
        return self.scan()

    def stored(self) -> str:
        """Everything that the page has kept in the browser."""
        found: str = self.page.evaluate(STORAGE)
        return found

    def check_words(self) -> None:
        """Everything has a name for a screen reader, and nothing sticks out of the narrowest sidebar."""
        assert self.panel.evaluate(NAMELESS) == []
        width = self.panel.evaluate("panel => panel.getBoundingClientRect().width")
        self.panel.evaluate("panel => { panel.style.width = '250px' }")
        assert self.panel.evaluate(SPILLED) == []
        self.panel.evaluate("panel => { panel.style.width = '' }")
        assert self.panel.evaluate("panel => panel.getBoundingClientRect().width") == width

    def keep_screenshot(self, name: str) -> None:
        """Keep pictures of the panel's filled part, in both palettes, when a person asked for pictures."""
        folder = os.environ.get(SCREENSHOTS)
        if not folder:
            return
        usual = self.page.viewport_size
        assert usual is not None
        # High enough for all that the view holds.
        self.page.set_viewport_size({**usual, "height": 1200})
        self.page.mouse.move(1200, 500)
        for palette in ("light", "dark"):
            self.page.evaluate(
                "palette => window.app.extensionManager.setting.set('Comfy.ColorPalette', palette)", palette
            )
            self.page.wait_for_timeout(500)
            box = self.panel.bounding_box()
            assert box is not None
            path = REPOSITORY / folder / f"{name}-{palette}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            bottom = self.panel.evaluate(FILLED) + 20
            clip = {**box, "height": min(bottom - box["y"], box["height"])}
            self.page.screenshot(path=path, clip=clip)
        self.page.set_viewport_size(usual)
