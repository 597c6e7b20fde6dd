"""A desk in a process of its own, driven by JSON lines: `python desk_process.py STATE`.

In: {"do": "pair", "count": n}, {"do": "install", "device_id": ..., "bundle": ...}, {"do": "connected"},
{"do": "memory"} or {"do": "stop"}. Out: one JSON line each, an install's when it is over. Nothing else runs
here, so that the process's peak is the bridge's.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from comfyui_pocketvideo.mobile_runtime.bridge import Bridge
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

PAIR_SECONDS = 60.0
LOCK = threading.Lock()


def main() -> None:
    bridge = Bridge(Path(sys.argv[1]), desk_name="Bench")
    bridge.start()
    try:
        for line in sys.stdin:
            command = json.loads(line)
            match command["do"]:
                case "pair":
                    pair(bridge, command["count"])
                case "install":
                    arguments = (bridge, Bundle.open(command["bundle"]), command["device_id"])
                    threading.Thread(target=install, args=arguments).start()
                case "connected":
                    say(connected=sum(device.connected for device in bridge.devices()))
                case "memory":
                    say(peak=memory("VmHWM"), now=memory("VmRSS"))
                case "stop":
                    return
    finally:
        bridge.stop()


def pair(bridge: Bridge, count: int) -> None:
    """Offer and confirm `count` times; the devices' side runs in the other process."""
    for _ in range(count):
        say(uri=bridge.begin_pairing().uri)
        end = time.monotonic() + PAIR_SECONDS
        while not (waiting := bridge.pending()):
            if time.monotonic() > end:
                raise SystemExit("No device came to be paired.")
            time.sleep(0.005)
        bridge.confirm(waiting[0].device_id)


def install(bridge: Bridge, bundle: Bundle, device_id: str) -> None:
    """One install, whose end is told."""
    try:
        result = bridge.install(device_id, bundle)
    except Exception as error:
        say(device_id=device_id, error=str(error))
        return
    say(device_id=device_id, sent=result.sent_bytes, report=result.report)


def memory(name: str) -> int:
    """A figure of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {name}; this bench needs Linux.")


def say(**fields: Any) -> None:
    with LOCK:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
