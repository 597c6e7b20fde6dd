"""How soon the app can be used when a phone opens it for the first time, and what it loads until then.

Chromium slows its processor down and shapes the network, as phones are emulated in its developer tools. The
app is usable when its first button is on the screen and the page has had no task of 50 ms or more for a
second: a touch is answered from then on. Nothing is kept between two openings.
"""

from __future__ import annotations

import gzip
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from phone.conftest import Desk
from phone.handset import handset

SLOWER = 4
# What developer tools call slow 4G; a phone in the desk's own network is faster.
NETWORK = {"latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
OPENINGS = 5
# Runs before the page's own code: when the button came, and when the last long task ended.
WATCH = """
globalThis.opening = { shown: null, busy: 0 };
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) opening.busy = task.startTime + task.duration;
}).observe({ type: "longtask", buffered: true });
const look = () => {
  if (document.querySelector("button.primary:not(:disabled)")) opening.shown = performance.now();
  else requestAnimationFrame(look);
};
look();
"""
# Milliseconds from the navigation's start to a page that answers.
READY = """async () => {
  for (;;) {
    const { shown, busy } = globalThis.opening;
    const since = Math.max(shown ?? Infinity, busy);
    if (performance.now() - since >= 1000) return since;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}"""
LOADED = (
    "() => performance.getEntriesByType('resource').filter((one) => one.startTime < opening.shown)"
    ".map((one) => new URL(one.name).pathname)"
)


@dataclass(frozen=True)
class Opening:
    """Seconds until the app answers, and bytes of own code that it loaded, compressed."""

    seconds: float
    bytes: int


def measure(app: Path, folder: Path) -> Opening:
    """Open the address of the desk's code on fresh phones; the median time."""
    seconds, size = [], 0
    desk = Desk(folder / "desk", app)
    try:
        for number in range(OPENINGS):
            with handset(folder / f"phone-{number}", trusting=False) as phone:
                page = phone.pages[0]
                page.add_init_script(WATCH)
                tools = phone.new_cdp_session(page)
                tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
                tools.send("Network.enable")
                tools.send("Network.emulateNetworkConditions", {"offline": False, **NETWORK})
                page.goto(desk.code(), wait_until="commit")
                seconds.append(page.evaluate(READY) / 1000)
                own = {"/index.html", *filter(_is_code, page.evaluate(LOADED))}
                size = sum(len(gzip.compress((app / name.lstrip("/")).read_bytes())) for name in own)
    finally:
        desk.bridge.stop()
    return Opening(statistics.median(seconds), size)


def _is_code(name: str) -> bool:
    return re.search(r"\.(js|css)$", name) is not None
