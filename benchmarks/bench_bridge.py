"""How fast a push is beside a plain sendfile of the same bytes. `make bench-bridge`: 4 minutes, 7 GB of disk.

Each way runs in processes of its own, over loopback, from the page cache to the same disk; they take turns,
and medians are compared. Then 50 devices connect and 10 of them pull at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing  # noqa: E402
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle  # noqa: E402
from report import Bar, finish  # noqa: E402
from transfer.crowd import pair_devices, pull_at_once  # noqa: E402
from transfer.desk import HERE, BenchDesk  # noqa: E402

from unit.bridge import tiny_bundle  # noqa: E402

CACHE = ROOT / ".cache" / "bench-bridge"
PUSH = "push: TLS, hashed, synced"
WRITES = "sendfile: written"
SYNCS = "sendfile: written, synced"
INSTALLS = "sendfile: written, hashed, synced"
TLS = "blocking TLS: written, hashed, synced"
PLAIN: dict[str, tuple[str, ...]] = {
    WRITES: (),
    SYNCS: ("--sync",),
    INSTALLS: ("--hash", "--sync"),
    TLS: ("--tls", "--hash", "--sync"),
}
DEVICES, PULLING = 50, 10
MEMORY_GOAL = 100 * 10**6
SPEED_GOAL = 0.7
FILES = 16


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=2 * 10**9, help="of the bundle (default: 2 GB)")
    parser.add_argument("--crowd-bytes", type=int, default=10**8, help="that each of ten devices pulls")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "benchmarks")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    for left in CACHE.glob("run-*"):
        # Gigabytes, from a run that was killed.
        shutil.rmtree(left)
    # Not in /tmp, which may lie in memory: what is synced must go to a disk.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="run-") as name:
        folder = Path(name)
        bundle = tiny_bundle.build(folder / "bundle", ballast=(options.bytes // FILES,) * FILES)
        crowd = tiny_bundle.build(folder / "crowd" / "bundle", ballast=(options.crowd_bytes // 4,) * 4)
        with BenchDesk(folder / "desk") as desk:
            pairings = asyncio.run(pair_devices(desk, folder / "devices", DEVICES))
            seconds: dict[str, list[float]] = {}
            for number in range(options.rounds):
                for way in (PUSH, *PLAIN):
                    took = measure(way, desk, pairings[0], bundle, folder)
                    seconds.setdefault(way, []).append(took)
                    sys.stderr.write(f"round {number + 1}: {way}: {size(bundle) / 1e6 / took:.0f} MB/s\n")
            memory = peak(desk)
            took, connected = asyncio.run(
                pull_at_once(desk, pairings, PULLING, crowd, folder / "crowd" / "bundle")
            )
            crowd_memory = peak(desk)
        total = size(bundle)
    rows = [
        {
            "way": way,
            "MB/s": round(total / 1e6 / statistics.median(times)),
            "seconds": statistics.median(times),
            "push, of it": f"{statistics.median(times) / statistics.median(seconds[PUSH]):.0%}",
        }
        for way, times in seconds.items()
    ]
    rate = round(PULLING * size(crowd) / 1e6 / took)
    rows.append({"way": f"{PULLING} devices pull at once", "MB/s": rate, "seconds": took, "push, of it": ""})
    bars = [
        _speed("a push against a plain sendfile into files", WRITES, seconds),
        _speed("a push against a sendfile that hashes and syncs as an install must", INSTALLS, seconds),
        Bar(
            f"the bridge's memory for a bundle of {total / 1e9:.1f} GB",
            f"{memory / 1e6:.0f} MB",
            f"less than {MEMORY_GOAL / 1e6:.0f} MB",
            memory < MEMORY_GOAL,
        ),
        Bar(
            f"devices connected while {PULLING} pull at once",
            f"{connected}, with {crowd_memory / 1e6:.0f} MB",
            str(DEVICES),
            connected == DEVICES,
        ),
    ]
    extra: dict[str, Any] = {"bytes": total, "rounds": options.rounds, "times": seconds}
    return finish("bridge", rows, bars, results=options.results, **extra)


def measure(way: str, desk: BenchDesk, pairing: Pairing, bundle: Bundle, folder: Path) -> float:
    """Seconds of one way, from a warm page cache into an empty folder."""
    target = folder / "target"
    shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(folder / "devices" / "device-0" / "store", ignore_errors=True)
    target.mkdir()
    files = [bundle.path(name) for name in bundle.files]
    for path in files:
        with path.open("rb") as file:
            while file.read(2**20):
                pass
    # What the way before left to be written must not be paid for by this one.
    os.sync()
    time.sleep(0.5)
    if way == PUSH:
        return push(desk, pairing, bundle, folder)
    plain = [sys.executable, str(HERE / "plain.py")]
    tls = [option for option in PLAIN[way] if option == "--tls"]
    sender = subprocess.Popen(
        [*plain, "send", str(folder / "desk"), *map(str, files), *tls], stdout=subprocess.PIPE, text=True
    )
    assert sender.stdout is not None
    port = sender.stdout.readline().strip()
    sizes = [str(path.stat().st_size) for path in files]
    receiver = subprocess.run(
        [*plain, "receive", port, *sizes, "--into", str(target), *PLAIN[way]],
        capture_output=True,
        text=True,
        check=True,
    )
    sender.wait(60)
    return float(receiver.stdout)


def push(desk: BenchDesk, pairing: Pairing, bundle: Bundle, folder: Path) -> float:
    """Seconds that a real agent takes from its job to a verified bundle on its disk."""
    home = folder / "devices" / "device-0"
    agent = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "comfyui_pocketvideo.mobile_runtime.agent",
            "--home",
            str(home),
            "run",
            "--once",
        ],
        stderr=subprocess.DEVNULL,
    )
    desk.tell(do="install", device_id=pairing.device_id, bundle=str(folder / "bundle"))
    answer = desk.hear()
    agent.wait(60)
    if "error" in answer:
        raise SystemExit(answer["error"])
    if answer["sent"] != size(bundle):
        raise SystemExit(f"The push sent {answer['sent']} bytes of {size(bundle)}.")
    return float(answer["report"]["seconds"]["fetch"])


def peak(desk: BenchDesk) -> int:
    """The most memory that the desk's process has had, in bytes."""
    desk.tell(do="memory")
    return int(desk.hear()["peak"])


def size(bundle: Bundle) -> int:
    """Bytes of the bundle's files."""
    return sum(entry["bytes"] for entry in bundle.files.values())


def _speed(name: str, way: str, seconds: dict[str, list[float]]) -> Bar:
    # Of each round, because what else the machine does changes from round to round.
    ratio = statistics.median(plain / ours for plain, ours in zip(seconds[way], seconds[PUSH], strict=True))
    return Bar(name, f"{ratio:.0%}", f"{SPEED_GOAL:.0%} or more", ratio >= SPEED_GOAL)


if __name__ == "__main__":
    sys.exit(main())
