"""What the phone's app takes: how soon it can be used, and what its tab keeps after many videos.

`make bench-phone` runs it after bench_phone.py. No phone was measured: desktop Chromium emulates one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from report import ROOT, Bar, finish

sys.path.append(str(ROOT / "tests"))
from in_browser import leaks, opening, pressing

from phone.conftest import DIST
from phone_engine.page import build
from unit.engine import small

LEAK_BAR, SECONDS_BAR, BYTES_BAR = 0.05, 2.0, 300_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=200, help="videos in a row, after a warm-up")
    count = parser.parse_args().generations
    subprocess.run([sys.executable, str(ROOT / "tools" / "phone.py"), "build"], check=True)
    with tempfile.TemporaryDirectory(prefix="bench-phone-app-") as name:
        folder = Path(name)
        opened = opening.measure(DIST, folder / "opening")
        bundle = small.build(folder / "small")
        pressed = pressing.measure(DIST, bundle, folder / "pressing")
        app = leaks.in_the_app(DIST, bundle, folder / "app", count)
        one, heap = leaks.in_one_engine(build(folder / "built"), bundle, folder / "one", count)
    bars = [
        Bar(
            f"until the app can be used: processor {opening.SLOWER} times slower, slow 4G, median of"
            f" {opening.OPENINGS} first openings",
            f"{opened.seconds:.2f} s",
            f"{SECONDS_BAR:.0f} s or less",
            opened.seconds <= SECONDS_BAR,
        ),
        Bar(
            "own code of the first load, gzipped, without the runtime",
            f"{opened.bytes / 1000:.0f} KB",
            f"less than {BYTES_BAR // 1000} KB",
            opened.bytes < BYTES_BAR,
        ),
    ]
    bars.append(
        Bar(
            f"from Generate to the video with the engine that was kept ({pressed.again:.2f} s), with a new"
            f" one ({pressed.first:.2f} s) = 1",
            f"{pressed.ratio:.2f}",
            "less than 1",
            pressed.ratio < 1,
        )
    )
    for curve in (app, one):
        what = f"growth of the tab over {count} videos in a row, {curve.way}, after {curve.warm}"
        bars.append(Bar(what, f"{100 * curve.growth:.1f} %", "less than 5 %", curve.growth < LEAK_BAR))
    what = f"growth of WebAssembly's heap over {count} videos in one engine"
    bars.append(Bar(what, f"{100 * heap:.1f} %", "less than 5 %", heap < LEAK_BAR))
    return finish("phone-app", [*app.rows(), *one.rows()], bars, generations=count)


if __name__ == "__main__":
    sys.exit(main())
