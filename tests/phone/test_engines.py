"""The engine stays for the next video of a workflow, and goes when nobody wants it or it may be broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page, Worker, expect

from browser.conftest import SOFTWARE_GPU
from phone.conftest import Desk, pair, wait_for
from phone.handset import handset, kill_gpu, kill_tabs
from phone.person import delete, generate, see_video
from unit.bridge import tiny_bundle

PATIENCE = 120_000
# Presses Generate, and Cancel as soon as it is there, however short the run.
CANCEL = """() => new Promise((resolve) => {
  const watch = new MutationObserver(() => {
    const button = document.querySelector("footer button[aria-label=Cancel]");
    if (!button) return;
    watch.disconnect();
    button.click();
    resolve();
  });
  watch.observe(document.body, { subtree: true, childList: true, attributes: true });
  document.querySelector("footer button.primary").click();
})"""
# Notes what the page asks of its workers.
COUNT_ASKED = """() => {
  globalThis.asked = [];
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...rest) {
    globalThis.asked.push(message?.name ?? message?.call);
    return post.call(this, message, ...rest);
  };
}"""


class Engines:
    """The engines that a page has started. The store is its other worker, and was there before."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._store = {worker.url for worker in page.workers}
        self.started: list[Worker] = []
        page.on("worker", self._hear)

    def _hear(self, worker: Worker) -> None:
        if worker.url not in self._store and "/worker-" in worker.url:
            self.started.append(worker)

    @property
    def running(self) -> int:
        self._page.evaluate("0")
        return sum(worker in self._page.workers for worker in self.started)


@pytest.fixture
def page(desk: Desk, home: Path, tiny: Bundle) -> Iterator[Page]:
    """A phone that has the workflow, and tells the time that it is told."""
    with handset(home) as phone:
        page = phone.pages[0]
        page.clock.install()
        pair(page, desk)
        desk.send(tiny).finish()
        # What tested the workflow is as good for its first video, and is not what these tests look at.
        page.reload()
        page.get_by_role("button", name=tiny.manifest["name"]).wait_for()
        yield page


def again(page: Page) -> None:
    """Press Generate once more, and wait for the next video."""
    before = page.locator(".video").get_attribute("src")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".video")).not_to_have_attribute("src", before or "", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=PATIENCE)


def hide(page: Page, state: str) -> None:
    """Send the page into the background, or bring it back."""
    page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


def test_one_engine_makes_the_next_videos_too_until_nobody_asks_for_one(page: Page, tiny: Bundle) -> None:
    engines = Engines(page)
    generate(page, tiny)
    see_video(page)
    again(page)
    steps = page.get_by_label("Steps").input_value()
    page.get_by_label("Steps").fill("100")
    page.evaluate(CANCEL)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=PATIENCE)
    page.get_by_label("Steps").fill(steps)
    again(page)
    assert (len(engines.started), engines.running) == (1, 1), "a cancelled run leaves it as it was"
    page.clock.fast_forward("00:20")
    assert engines.running == 1
    page.clock.fast_forward("00:50")
    wait_for(lambda: engines.running == 0)
    again(page)
    assert (len(engines.started), engines.running) == (2, 1)


def test_the_next_video_asks_for_its_run_alone_and_for_no_file_again(page: Page, tiny: Bundle) -> None:
    generate(page, tiny)
    see_video(page)
    page.evaluate(COUNT_ASKED)
    again(page)
    assert page.evaluate("globalThis.asked") == ["run"]
    page.get_by_role("button", name="Back").click()
    delete(page, tiny)
    wait_for(lambda: "inventory" in page.evaluate("globalThis.asked"))


def test_an_engine_goes_when_the_page_is_hidden_for_a_while(page: Page, tiny: Bundle) -> None:
    engines = Engines(page)
    generate(page, tiny)
    see_video(page)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=PATIENCE)
    hide(page, "hidden")
    page.clock.fast_forward("00:02")
    hide(page, "visible")
    page.clock.fast_forward("00:15")
    assert engines.running == 1, "shown again in time"
    hide(page, "hidden")
    page.clock.fast_forward("00:15")
    wait_for(lambda: engines.running == 0)


def test_another_workflow_and_a_deleted_one_have_no_use_for_an_engine(
    page: Page, desk: Desk, tiny: Bundle, tmp_path: Path
) -> None:
    other = tiny_bundle.build(tmp_path / "other")
    engines = Engines(page)
    generate(page, tiny)
    see_video(page)
    expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=PATIENCE)
    desk.send(other).finish()
    wait_for(lambda: engines.running == 1)
    assert len(engines.started) == 2, "its self-test was made by an engine of its own"
    page.get_by_role("button", name="Back").click()
    delete(page, tiny)
    page.get_by_role("button", name=other.manifest["name"]).wait_for()
    assert engines.running == 1, "not the one that was deleted"
    delete(page, other)
    wait_for(lambda: engines.running == 0)


def test_a_run_that_failed_takes_its_engine_along(page: Page, tiny: Bundle) -> None:
    engines = Engines(page)
    page.evaluate(
        """async (sha256) => {
          let folder = await navigator.storage.getDirectory();
          for (const name of ["pocketvideo", "blobs"]) folder = await folder.getDirectoryHandle(name);
          await folder.removeEntry(sha256);
        }""",
        tiny.files["weights/epilogue.safetensors"]["sha256"],
    )
    generate(page, tiny)
    expect(page.get_by_text("were damaged on this phone (1)")).to_be_visible(timeout=PATIENCE)
    wait_for(lambda: engines.started and engines.running == 0)


def test_a_tab_that_ends_while_its_engine_waits_is_no_crash(desk: Desk, home: Path, tiny: Bundle) -> None:
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        origin = page.url
        desk.send(tiny).finish()
        engines = Engines(page)
        page.reload()
        generate(page, tiny)
        see_video(page)
        expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=PATIENCE)
        assert engines.running == 1
        kill_tabs(home)
    with handset(home) as phone:
        page = phone.pages[0]
        page.goto(origin)
        expect(page.get_by_role("button", name=tiny.manifest["name"])).to_be_visible()
        expect(page.get_by_text("ended the page")).to_have_count(0)


def test_a_gpu_that_goes_between_two_videos_is_asked_for_anew(desk: Desk, home: Path, tiny: Bundle) -> None:
    """Phones take it from an app that rests as they like: nothing gave up, and nothing has to be gentler."""
    with handset(home, arguments=SOFTWARE_GPU) as phone:
        page = phone.pages[0]
        pair(page, desk)
        desk.send(tiny).finish()
        page.reload()
        page.get_by_role("button", name=tiny.manifest["name"]).wait_for()
        engines = Engines(page)
        generate(page, tiny)
        see_video(page)
        expect(page.get_by_role("button", name="Generate")).to_be_enabled(timeout=PATIENCE)
        assert engines.running == 1
        kill_gpu(home)
        wait_for(lambda: engines.running == 0)
        again(page)
        expect(page.get_by_text("gave up")).to_have_count(0)
        page.get_by_role("button", name="Back").click()
        report = desk.run(tiny, {"steps": 1}).finish().report
        assert "webgpu" in report["device"]["runtime"]
