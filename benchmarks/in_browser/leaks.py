"""What a tab still has after many videos: made in the app as a person makes them, and in an engine alone.

The app keeps its engine from press to press, as nobody lets it wait. An engine without the app shows what of
the growth is the engine's own. Memory is the page's resident memory as Linux counts it, once JavaScript's
garbage is collected in the page and its workers. The engine has one thread: one that waits for work inside
WebAssembly never answers that it has collected. Growth is counted from `WARM` videos on: before them the
browser compiles hot code anew and its allocators find their size, which the curve shows from the first video.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page

from browser import processes
from browser.conftest import chromium
from in_browser.curves import Curve
from in_browser.pressing import PRESS, phone_with
from phone_engine.page import engine_page

SAMPLES = 10
# Videos before the count begins, and where the curve is looked at until then.
WARM = (1, 20)
# An engine computes in one worker and reads in another; the app's store is a worker, too.
ENGINE, STORE = 2, 1
# What was let go takes a moment to reach the system.
SETTLES, PATIENCE = 1.0, 60.0


def in_the_app(app: Path, bundle: Bundle, folder: Path, count: int) -> Curve:
    """Pair with a desk, receive the bundle, and press Generate again and again."""
    with phone_with(app, bundle, folder, cores=1) as page:

        def make(times: int) -> None:
            page.evaluate(PRESS, times)

        points = _follow(page, folder / "phone" / "profile", make, STORE + ENGINE, count)
    return Curve("in the app", WARM[-1], points)


def in_one_engine(built: Path, bundle: Bundle, folder: Path, count: int) -> tuple[Curve, float]:
    """Run a bundle in an engine that stays open; also how much its WebAssembly heap grew, as a part of it."""
    profile = folder / "profile"
    heaps: list[int] = []
    with engine_page(built, bundle, chromium(), profile) as page:
        page.call("install")
        page.open("wasm", threads=1)

        def make(times: int) -> None:
            heaps.extend(page.call("repeat", times)["peaks"])

        points = _follow(page.page, profile, make, ENGINE, count)
    return Curve("in an engine alone", WARM[-1], points), heaps[-1] / heaps[WARM[-1] - 1] - 1


def _follow(
    page: Page, profile: Path, make: Callable[[int], None], resting: int, count: int
) -> dict[int, int]:
    """Bytes by the number of videos: in the warm-up, at its end, and at equal distances over the rest."""
    looks = [*WARM, *(WARM[-1] + count * sample // SAMPLES for sample in range(1, SAMPLES + 1))]
    points: dict[int, int] = {}
    done = 0
    for look in looks:
        make(look - done)
        done = look
        points[done] = _settled(page, profile, resting)
    return points


def _settled(page: Page, profile: Path, resting: int) -> int:
    """The tab's memory when its garbage has been collected and no engine runs but the one that is kept."""
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
