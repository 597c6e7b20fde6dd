"""What a tab still has after many videos: made in the app as a person makes them, and all in one engine.

The app opens an engine for each video and closes it after. One engine that makes all of them is the harder
case: whatever it lets lie stays. Memory is the page's resident memory as Linux counts it, once JavaScript's
garbage is collected in the page and its workers. Growth is counted from `WARM` videos on: before them the
browser compiles hot code anew and its allocators find their size, which the curve shows from the first video.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page

from browser import processes
from browser.conftest import NO_GPU, chromium
from in_browser.curves import Curve
from phone.conftest import Desk, pair
from phone.handset import handset
from phone_engine.page import engine_page

SAMPLES = 10
# Videos before the count begins, and where the curve is looked at until then.
WARM = {"app": (1, 20), "engine": (1, 20)}
# Workers that run between two videos: the store's in the app, and the engine's two.
RESTING = {"app": 1, "engine": 2}
# What was let go takes a moment to reach the system, and an ended worker under load many.
SETTLES, PATIENCE = 1.0, 60.0
# Presses Generate and waits for the video of its own, over and over.
MAKE = """async (times) => {
  const ready = () => document.querySelector("footer button.primary:not(:disabled)");
  const shown = () => document.querySelector(".video")?.src ?? null;
  for (let i = 0; i < times; i++) {
    const before = shown();
    ready().click();
    while (!ready() || shown() === null || shown() === before) {
      const bad = document.querySelector("[role=alert]");
      if (bad) throw new Error(bad.textContent);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}"""


def in_the_app(app: Path, bundle: Bundle, folder: Path, count: int) -> Curve:
    """Pair with a desk, receive the bundle, and press Generate again and again."""
    desk = Desk(folder / "desk", app)
    home = folder / "phone"
    try:
        arguments = (*NO_GPU, processes.EAGER_GARBAGE)
        with handset(home, arguments=arguments, trusting=False) as phone:
            page = phone.pages[0]
            pair(page, desk)
            desk.send(bundle).finish()
            page.get_by_role("button", name=bundle.manifest["name"]).click()
            page.get_by_role("button", name="Generate").wait_for()

            def make(times: int) -> None:
                page.evaluate(MAKE, times)

            points = _follow(page, home / "profile", make, "app", count)
    finally:
        desk.bridge.stop()
    return Curve("in the app, an engine for each", WARM["app"][-1], points)


def in_one_engine(built: Path, bundle: Bundle, folder: Path, count: int) -> tuple[Curve, float]:
    """Run a bundle in an engine that stays open; also how much its WebAssembly heap grew, as a part of it."""
    profile = folder / "profile"
    heaps: list[int] = []
    with engine_page(built, bundle, chromium(), profile) as page:
        page.call("install")
        page.open("wasm", threads=1)

        def make(times: int) -> None:
            heaps.extend(page.call("repeat", times)["peaks"])

        points = _follow(page.page, profile, make, "engine", count)
    warm = WARM["engine"][-1]
    return Curve("all in one engine", warm, points), heaps[-1] / heaps[warm - 1] - 1


def _follow(page: Page, profile: Path, make: Callable[[int], None], where: str, count: int) -> dict[int, int]:
    """Bytes by the number of videos: in the warm-up, at its end, and at equal distances over the rest."""
    warm = WARM[where]
    looks = [*warm, *(warm[-1] + count * sample // SAMPLES for sample in range(1, SAMPLES + 1))]
    points: dict[int, int] = {}
    done = 0
    for look in looks:
        make(look - done)
        done = look
        points[done] = _settled(page, profile, RESTING[where])
    return points


def _settled(page: Page, profile: Path, resting: int) -> int:
    """The tab's memory when ended workers are gone and its garbage has been collected."""
    deadline = time.monotonic() + PATIENCE
    while (running := processes.workers(profile)) != resting:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{running} workers run between two videos and {resting} should; one is left over."
            )
        time.sleep(0.1)
    for _ in range(2):
        processes.collect_garbage(page)
        time.sleep(SETTLES)
    return processes.resident_bytes(profile)
