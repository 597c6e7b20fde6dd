"""A network that lies for a moment, and one that is gone for a minute."""

from __future__ import annotations

import time

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from faults.conftest import Scene, check_half_way, check_installed, missing, total, until
from faults.rooms import Room

CUT_SECONDS = 60.0
# What the desk had handed to its kernel for connections that then died: three transfers' send buffers.
IN_FLIGHT = 3 * 4 * 2**20


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_bit_that_flips_on_the_way_breaks_the_connection_and_nothing_else(
    scene: Scene, bundle: Bundle, share: float
) -> None:
    desk = scene.desk()
    device_id = scene.pair(desk, through_proxy=True).device_id
    proxy = scene.proxy(desk)
    proxy.flip_at = int(share * total(bundle))
    agent = scene.agent("run")
    result = desk.ask("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
    assert proxy.flip_at is None and result["attempts"] == 2
    assert total(bundle) <= result["sent"] < total(bundle) + IN_FLIGHT
    check_installed(scene.store, bundle)
    assert "does not answer" in agent.said


def test_a_network_that_is_cut_for_a_minute(scene: Scene, bundle: Bundle) -> None:
    """Two network namespaces and a cable between them: real interfaces that go down and come back."""
    with Room() as desk_room, Room(desk_room) as device_room:
        cable = desk_room.cable(device_room, "10.99.0.1", "10.99.0.2")
        desk = scene.desk(prefix=desk_room.enter, host="10.99.0.1")
        # Slow enough for the cut to fall into the middle.
        cable.limit(8_000_000)
        pairing_agent = scene.agent("pair", "-", prefix=device_room.enter)
        pairing_agent.say(desk.ask("offer")["uri"])
        device_id = desk.ask("confirm")["device_id"]
        assert pairing_agent.end() == 0, pairing_agent.said
        agent = scene.agent("run", prefix=device_room.enter)
        install = desk.begin("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
        until(lambda: missing(scene.store, bundle) < 0.6 * total(bundle))
        cable.down()
        time.sleep(CUT_SECONDS)
        left = missing(scene.store, bundle)
        assert 0 < left < 0.6 * total(bundle)
        check_half_way(scene.store, bundle)
        assert scene.store.bundles() == [] and not install.done() and agent.process.poll() is None
        before = desk.sent(device_id)
        cable.up()
        result = install.result(90)
        assert "error" not in result, result
        # A connection from before the cut may still try to send what its buffers held.
        assert left <= desk.sent(device_id) - before <= left + 2 * 2**20
        check_installed(scene.store, bundle)
