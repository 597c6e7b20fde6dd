"""Pressing Generate in the app: how long the video takes with an engine to start, and with one that was kept.

The app keeps the engine of a video for the next one of the workflow; a page that was just loaded has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page

from browser import processes
from browser.conftest import NO_GPU
from phone.conftest import Desk, pair
from phone.handset import handset

ROUNDS = 9
# Presses Generate and waits for the video of its own, over and over; the seconds of each.
PRESS = """async (times) => {
  const ready = () => document.querySelector("footer button.primary:not(:disabled)");
  const shown = () => document.querySelector(".video")?.src ?? null;
  const seconds = [];
  for (let i = 0; i < times; i++) {
    const before = shown();
    const start = performance.now();
    ready().click();
    while (!ready() || shown() === null || shown() === before) {
      const bad = document.querySelector("[role=alert]");
      if (bad) throw new Error(bad.textContent);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds;
}"""


@dataclass(frozen=True)
class Pressed:
    """Seconds from the press to the video: the first of a page, and the next one."""

    first: float
    again: float

    @property
    def ratio(self) -> float:
        return self.again / self.first


@contextmanager
def phone_with(app: Path, bundle: Bundle, folder: Path, cores: int | None = None) -> Iterator[Page]:
    """A phone that has this workflow and shows it, with its profile in `folder`; it may have fewer cores."""
    desk = Desk(folder / "desk", app)
    try:
        arguments = (*NO_GPU, processes.EAGER_GARBAGE)
        with handset(folder / "phone", arguments=arguments, trusting=False) as phone:
            page = phone.pages[0]
            if cores is not None:
                page.add_init_script(
                    f"Object.defineProperty(navigator, 'hardwareConcurrency', {{ value: {cores} }})"
                )
            pair(page, desk)
            desk.send(bundle).finish()
            page.get_by_role("button", name=bundle.manifest["name"]).click()
            page.get_by_role("button", name="Generate").wait_for()
            yield page
    finally:
        desk.bridge.stop()


def measure(app: Path, bundle: Bundle, folder: Path) -> Pressed:
    """Load the page, press, and press again, so often that the median stands."""
    times = []
    with phone_with(app, bundle, folder) as page:
        for _ in range(ROUNDS):
            page.reload()
            page.get_by_role("button", name="Generate").wait_for()
            times.append(page.evaluate(PRESS, 2))
    return Pressed(*(median(column) for column in zip(*times, strict=True)))
