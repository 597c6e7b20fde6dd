"""A desk in a process of its own, to be killed: `python desk_process.py STATE HOST [NAME...]`.

It reads commands and writes answers, a JSON object a line. A command names what to `do` and is answered by
one line with its `id`: an install or a push when it is over, all others at once.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

LOCK = threading.Lock()


def main() -> None:
    state = Path(sys.argv[1])
    delivered = state / "delivered"

    def on_result(path: Path, announcement: Any, device: Any) -> None:
        delivered.mkdir(exist_ok=True)
        (delivered / f"{announcement.result_id}{path.suffix}").write_bytes(path.read_bytes())

    host, *names = sys.argv[2:]
    bridge = Bridge(state, host, desk_name=state.name, names=tuple(names), on_result=on_result)
    bridge.start()
    answer(0, address=bridge.address)
    for line in sys.stdin:
        command = json.loads(line)
        threading.Thread(target=obey, args=(bridge, command), daemon=True).start()
    bridge.stop()


def obey(bridge: Bridge, command: dict[str, Any]) -> None:
    try:
        answer(command["id"], **ACTIONS[command["do"]](bridge, command))
    except BridgeError as error:
        answer(command["id"], error=str(error))


def offer(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    return {"uri": bridge.begin_pairing().uri}


def confirm(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    """Confirm the next device that waits."""
    end = time.monotonic() + 60
    while not (pending := bridge.pending()):
        if time.monotonic() > end:
            raise BridgeError("No device came to be paired.")
        time.sleep(0.02)
    return {"device_id": bridge.confirm(pending[0].device_id).device_id}


def send(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    bundle = Bundle.open(command["bundle"])
    seconds = {"connect_seconds": math.inf, "patience_seconds": 300.0}
    if command["do"] == "install":
        result = bridge.install(command["device_id"], bundle, **seconds)
    else:
        result = bridge.push(command["device_id"], bundle, command.get("values", {}), **seconds)
    return {"sent": result.sent_bytes, "attempts": result.attempts, "report": result.report}


def sent(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    return {"sent": sum(bridge.bytes_sent(command["device_id"]).values())}


def revoke(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    bridge.revoke(command["device_id"])
    return {}


def limit(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    """Bytes per second of each transfer that begins from now on."""
    assert bridge._core is not None
    bridge._core.limits = replace(bridge._core.limits, bandwidth=command["rate"])
    return {}


def devices(bridge: Bridge, command: dict[str, Any]) -> dict[str, Any]:
    return {"devices": [[item.device_id, item.name, item.connected] for item in bridge.devices()]}


ACTIONS = {
    "offer": offer,
    "confirm": confirm,
    "install": send,
    "push": send,
    "sent": sent,
    "revoke": revoke,
    "limit": limit,
    "devices": devices,
}


def answer(number: int, **fields: Any) -> None:
    with LOCK:
        sys.stdout.write(json.dumps({"id": number, **fields}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
