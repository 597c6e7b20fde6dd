"""ComfyUI's editor as its user sees it: what is clicked, what is shown, and what went wrong unseen."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Response, expect

from host.server import PACK_NAME, REPOSITORY, ComfyServer

READY_MS = 90_000
RUN_MS = 300_000
# Names the folder that screenshots go to; without it none are kept, so that tests leave the tree alone.
SCREENSHOTS = "POCKETVIDEO_SCREENSHOTS"


class Editor:
    """A page on a running host. It gathers script errors and answers from elsewhere while it is used."""

    def __init__(self, page: Page, host: ComfyServer) -> None:
        self.page = page
        self.host = host
        self.script_errors: list[str] = []
        self.strangers: list[str] = []
        page.on("pageerror", lambda error: self.script_errors.append(str(error)))
        page.on("console", self._on_console)
        page.on("response", self._on_response)

    def open(self) -> Editor:
        """Open the page and wait until its buttons are there."""
        self.page.goto(self.host.url, wait_until="domcontentloaded")
        self.page.get_by_test_id("queue-button").wait_for(timeout=READY_MS)
        self.page.wait_for_function(
            "window.app && window.app.graph && window.app.graph._nodes", timeout=READY_MS
        )
        return self

    def open_template(self, name: str) -> None:
        """Open one of the pack's workflows: the sidebar's Templates, the pack, the workflow's card."""
        before = self.page.evaluate("window.app.graph.id")
        self.page.get_by_role("button", name="Templates").first.click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text(PACK_NAME, exact=True).click()
        dialog.get_by_test_id(f"template-workflow-{name}").click()
        expect(dialog).to_be_hidden()
        self.page.wait_for_function("before => window.app.graph.id !== before", arg=before)

    def node_types(self) -> list[str]:
        """The class of every node on the canvas."""
        types: list[str] = self.page.evaluate("window.app.graph._nodes.map(node => node.type)")
        return types

    def complaint(self) -> str | None:
        """What the editor's own overlay says is wrong with the workflow, or None."""
        overlay = self.page.get_by_test_id("error-overlay")
        return overlay.inner_text() if overlay.is_visible() else None

    def prompt(self) -> Any:
        """The prompt that the editor itself would send for what is on the canvas."""
        return self.page.evaluate("async () => (await window.app.graphToPrompt()).output")

    def prompt_of(self, workflow: dict[str, Any]) -> Any:
        """The prompt that the editor would send for a workflow file, opened as if it were dropped here."""
        return self.page.evaluate(
            "async (workflow) => { await window.app.loadGraphData(workflow, true, true, 'file');"
            " return (await window.app.graphToPrompt()).output }",
            workflow,
        )

    def run(self) -> None:
        """Press Run."""
        self.page.get_by_test_id("queue-button").click()

    def wait_for_video(self) -> Locator:
        """The video that a node shows, once it can be played."""
        video = self.page.locator("video").first
        video.wait_for(state="attached", timeout=RUN_MS)
        self.page.wait_for_function(
            "() => { const video = document.querySelector('video'); return video && video.readyState >= 2 }",
            timeout=RUN_MS,
        )
        return video

    def fit_view(self) -> None:
        """Show the whole graph, as the canvas button of that name does."""
        self.page.get_by_role("button", name=re.compile("Fit View")).click()
        self.page.wait_for_timeout(800)

    def look_at(self, left: float, top: float, scale: float) -> None:
        """Put a point of the graph into the corner beside the sidebar, below the buttons, at a zoom."""
        self.page.evaluate(
            "([left, top, scale]) => { const view = window.app.canvas.ds; view.scale = scale;"
            " view.offset = [80 / scale - left, 100 / scale - top];"
            " window.app.canvas.setDirty(true, true) }",
            [left, top, scale],
        )
        self.page.wait_for_timeout(800)

    def keep_screenshot(self, name: str) -> None:
        """Keep a picture of the window, when a person asked for pictures; videos stand at their middle."""
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            self.page.evaluate(
                "for (const video of document.querySelectorAll('video'))"
                " { video.pause(); video.currentTime = video.duration / 2 }"
            )
            self.page.wait_for_timeout(500)
            target = REPOSITORY / folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=target)

    def saved_file(self, video: Locator) -> Path:
        """The file on disk behind a shown video."""
        address = video.evaluate("video => video.currentSrc || video.src")
        query = dict(parse_qsl(urlsplit(str(address)).query))
        folder = {"output": self.host.output, "temp": self.host.base / "temp"}[query.get("type", "output")]
        return folder / query.get("subfolder", "") / query["filename"]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and PACK_NAME in message.text:
            self.script_errors.append(message.text)

    def _on_response(self, response: Response) -> None:
        if not response.url.startswith((self.host.url, "data:", "blob:")):
            self.strangers.append(response.url)
