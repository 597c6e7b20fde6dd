"""Full disks: at the device in the middle of a push, and at the desk when it must remember something."""

from __future__ import annotations

import json
from pathlib import Path

from comfyui_pocketvideo.mobile_runtime.agent.home import Home
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, Store

from faults.conftest import Scene, check_half_way, check_installed, missing, total, until
from faults.rooms import Room
from unit.bridge import tiny_bundle

# What a device leaves free of its disk (`store.SPARE_BYTES`).
SPARE = 64 * 2**20
RATE = 24e6


def fill(folder: Path, leave: int = 0) -> Path:
    """A file that takes the rest of a disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 * 1024))
        except OSError:
            pass
        if leave:
            file.truncate(max(0, file.tell() - leave))
    return filler


def test_a_disk_that_fills_up_on_the_device_in_the_middle_of_a_push(scene: Scene, bundle: Bundle) -> None:
    with Room() as room:
        folder = scene.folder / "small"
        seen = room.disk(folder, total(bundle) + SPARE + 4 * 2**20)
        home, here = Home(folder / "device"), Home(seen / "device")
        # The network is the desk's own: only the disk is another.
        enter = [*room.enter]
        enter.remove("--net")
        desk = scene.desk()
        agent = scene.agent("pair", "-", home=home, prefix=enter)
        agent.say(desk.ask("offer")["uri"])
        device_id = desk.ask("confirm")["device_id"]
        assert agent.end() == 0, agent.said
        send = {"device_id": device_id, "bundle": str(bundle.path("workflow.json").parent)}
        # Something else takes the room while the bundle arrives.
        desk.ask("limit", rate=3_000_000)
        agent = scene.agent("run", home=home, prefix=enter)
        install = desk.begin("install", **send)
        store = Store(here.store)
        until(lambda: missing(store, bundle) < 0.7 * total(bundle))
        filler = fill(seen)
        error = install.result(90)["error"]
        assert "cannot be kept on this device (No space left on device); make room" in error
        left = missing(store, bundle)
        assert 0 < left < 0.7 * total(bundle)
        check_half_way(store, bundle)
        assert store.bundles() == [] and agent.process.poll() is None
        # Still full: refused by the device before a byte is sent, with what is missing.
        desk.ask("limit", rate=None)
        before = desk.sent(device_id)
        error = desk.begin("install", **send).result(90)["error"]
        assert "MB" in error and ("make room" in error or "delete" in error), error
        assert desk.sent(device_id) == before
        filler.unlink()
        until(lambda: not desk.begin("install", **send).result(90).get("error"))
        assert desk.sent(device_id) - before == left
        check_installed(store, bundle)
        agent.kill()


def test_a_full_disk_at_the_desk_pairs_nobody_by_half_and_loses_no_result(scene: Scene) -> None:
    small = tiny_bundle.build(scene.folder / "bundle")
    with Room() as room:
        state = scene.folder / "state"
        # More than the desk leaves free of its disk (`results.RESERVE_BYTES`).
        seen = room.disk(state, 96 * 2**20)
        enter = [*room.enter]
        enter.remove("--net")
        desk = scene.desk("state", prefix=enter)
        filler = fill(seen)
        pairing = scene.agent("pair", "-")
        pairing.say(desk.ask("offer")["uri"])
        refusal = desk.begin("confirm").result(60)
        assert "cannot be written" in refusal["error"]
        assert desk.ask("devices")["devices"] == [] and scene.home.pairings() == []
        filler.unlink()
        # The device still waits; the same confirmation, with room for it, goes through.
        device_id = desk.ask("confirm")["device_id"]
        assert pairing.end() == 0, pairing.said
        running = scene.agent("run")
        desk.ask("install", device_id=device_id, bundle=str(small.path("workflow.json").parent))
        running.kill()

        made = scene.agent("make", "tiny", "--prompt", "a red circle", "--seed", "7")
        assert made.end() == 0, made.said
        (entry,) = scene.home.results.glob("*/result.json")
        filler = fill(seen)
        refused = scene.agent("send-back")
        assert refused.end() == 1 and "full" in refused.said, refused.said
        assert json.loads(entry.read_bytes())["sent_to"] == []
        filler.unlink()
        sent = scene.agent("send-back")
        assert sent.end() == 0 and "Sent 'a red circle'" in sent.said, sent.said
        (video,) = entry.parent.glob("video.*")
        delivered = seen / "delivered" / f"{entry.parent.name}{video.suffix}"
        until(delivered.exists)
        assert delivered.read_bytes() == video.read_bytes()
        again = scene.agent("send-back")
        assert again.end() == 0 and "every result already" in again.said
