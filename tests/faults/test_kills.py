"""Processes that are killed at random points of a push: what had arrived stays, and is not sent again."""

from __future__ import annotations

import random
import signal

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from faults.conftest import Scene, check_half_way, check_installed, missing, total, until

# TLS and HTTP around the files' bytes, and the control connection beside them.
OVERHEAD = 1.02
# What the device had read and not yet written: three transfers with a buffer of 256 KiB and a record each.
UNWRITTEN = 3 * (256 + 32) * 1024 + 100_000
RATE = 24e6


def points(count: int, size: int, seed: int) -> list[int]:
    """Random points of a push of `size` bytes, in order."""
    dice = random.Random(seed)
    return sorted(dice.randrange(1, int(size * 0.97)) for _ in range(count))


def room(wanted: int) -> int:
    """What has to pass for so many bytes to be on the device, and little more: no push ends meanwhile."""
    return int(max(0, wanted) * OVERHEAD) + UNWRITTEN + 200_000


def test_a_device_killed_at_20_random_points_of_a_push(scene: Scene, bundle: Bundle) -> None:
    desk = scene.desk()
    device_id = scene.pair(desk, through_proxy=True).device_id
    proxy = scene.proxy(desk, RATE)
    install = desk.begin("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
    left = total(bundle)
    for point in points(20, total(bundle), seed=20):
        before = proxy.handed
        # Counted from what is on the device, so that the points are spread over the whole push.
        proxy.stop_at = proxy.forwarded + max(1, point - (total(bundle) - left))
        agent = scene.agent("run")
        until(lambda: proxy.stopped)
        # Stopped first, so that what the kernel holds can be told from what the process had.
        agent.process.send_signal(signal.SIGSTOP)
        arrived = (proxy.handed - before - proxy.unread()) / OVERHEAD
        agent.kill()
        proxy.go_on()
        now = missing(scene.store, bundle)
        assert 0 < now <= left
        assert left - now >= arrived - UNWRITTEN, "what had arrived was lost"
        check_half_way(scene.store, bundle)
        assert scene.store.bundles() == []
        left = now
    proxy.rate = None
    # What the desk had handed to dead connections must be counted before the last try begins.
    until(lambda: not desk.ask("devices")["devices"][0][2])
    before = desk.sent(device_id)
    scene.agent("run")
    result = install.result(90)
    assert "error" not in result, result
    assert desk.sent(device_id) - before == left
    assert result["attempts"] > 5
    check_installed(scene.store, bundle)


def test_a_desk_killed_at_random_points_of_a_push(scene: Scene, bundle: Bundle) -> None:
    desk = scene.desk()
    device_id = scene.pair(desk, through_proxy=True).device_id
    agent = scene.agent("run")
    left = total(bundle)
    for point in points(4, total(bundle), seed=4):
        proxy = scene.proxy(desk, RATE)
        proxy.stop_at = room(point - (total(bundle) - left))
        desk.begin("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
        until(lambda point=point: total(bundle) - missing(scene.store, bundle) >= point)
        desk.kill()
        proxy.close()
        left, before = missing(scene.store, bundle), left
        assert left <= before
        check_half_way(scene.store, bundle)
        assert scene.store.bundles() == [] and agent.process.poll() is None
        desk = scene.desk()
    scene.proxy(desk)
    left = missing(scene.store, bundle)
    result = desk.ask("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
    assert result["sent"] == left
    check_installed(scene.store, bundle)
    assert "Trying again until it does." in agent.said


def test_both_killed_at_random_points_of_a_push(scene: Scene, bundle: Bundle) -> None:
    desk = scene.desk()
    device_id = scene.pair(desk, through_proxy=True).device_id
    left = total(bundle)
    for point in points(3, total(bundle), seed=3):
        proxy = scene.proxy(desk, RATE)
        proxy.stop_at = room(point - (total(bundle) - left))
        agent = scene.agent("run")
        desk.begin("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
        until(lambda point=point: total(bundle) - missing(scene.store, bundle) >= point)
        desk.kill()
        agent.kill()
        proxy.close()
        left, before = missing(scene.store, bundle), left
        assert left < before
        check_half_way(scene.store, bundle)
        assert scene.store.bundles() == []
        desk = scene.desk()
    scene.proxy(desk)
    scene.agent("run")
    result = desk.ask("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
    assert result["sent"] == left and result["attempts"] == 1
    check_installed(scene.store, bundle)
