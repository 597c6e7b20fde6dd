"""Two desks and two bundles at once, a desk that sends the device away, and a desk whose own disk lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from faults.conftest import BALLAST, Scene, check_half_way, check_installed, missing, total, until
from unit.bridge import tiny_bundle

RATE = 24e6


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Shares every file of `bundle` that is large, and has one more of its own."""
    return tiny_bundle.build(tmp_path_factory.mktemp("other") / "bundle", ballast=(*BALLAST, 1_500_000))


def folder(bundle: Bundle) -> str:
    return str(bundle.path("workflow.json").parent)


def test_two_desks_that_pair_at_once_and_push_at_once(
    scene: Scene, bundle: Bundle, other_bundle: Bundle
) -> None:
    desks = [scene.desk("one"), scene.desk("two")]
    uris = [desk.ask("offer")["uri"] for desk in desks]
    agents = [scene.agent("pair", "-") for _ in desks]
    for agent, uri in zip(agents, uris, strict=True):
        agent.say(uri)
    confirmations = [desk.begin("confirm") for desk in desks]
    ids = [future.result(90)["device_id"] for future in confirmations]
    assert [agent.end() for agent in agents] == [0, 0], [agent.said for agent in agents]
    assert sorted(pairing.desk_name for pairing in scene.home.pairings()) == ["one", "two"]

    scene.agent("run")
    installs = [
        desk.begin("install", device_id=device_id, bundle=folder(item))
        for desk, device_id, item in zip(desks, ids, (bundle, other_bundle), strict=True)
    ]
    results = [future.result(90) for future in installs]
    assert all("error" not in result for result in results), results
    # Whichever came first, the other desk sent only what its bundle does not share.
    assert sum(result["sent"] for result in results) == total(bundle, other_bundle)
    check_installed(scene.store, bundle, other_bundle)


def test_two_bundles_that_are_pushed_at_once(scene: Scene, bundle: Bundle, other_bundle: Bundle) -> None:
    desk = scene.desk()
    device_id = scene.pair(desk).device_id
    pushes = [desk.begin("push", device_id=device_id, bundle=folder(item)) for item in (bundle, other_bundle)]
    scene.agent("run")
    results = [push.result(90) for push in pushes]
    assert all("error" not in result for result in results), results
    assert desk.sent(device_id) == total(bundle, other_bundle)
    check_installed(scene.store, bundle, other_bundle)


def test_a_device_that_is_revoked_in_the_middle_of_a_push(scene: Scene, bundle: Bundle) -> None:
    desk = scene.desk()
    device_id = scene.pair(desk, through_proxy=True).device_id
    proxy = scene.proxy(desk, RATE / 4)
    agent = scene.agent("run")
    install = desk.begin("install", device_id=device_id, bundle=folder(bundle))
    until(lambda: missing(scene.store, bundle) < 0.6 * total(bundle))
    desk.ask("revoke", device_id=device_id)
    assert "was revoked at the desk" in install.result(30)["error"]
    assert agent.end() == 1 and "no longer knows this device" in agent.said
    left = missing(scene.store, bundle)
    assert 0 < left < 0.6 * total(bundle)
    check_half_way(scene.store, bundle)
    assert scene.store.bundles() == [] and scene.home.pairings() == []
    proxy.close()
    # Paired anew it is another device to the desk, and what it has is still not sent again.
    again = scene.pair(desk).device_id
    scene.agent("run")
    assert desk.ask("install", device_id=again, bundle=folder(bundle))["sent"] == left
    check_installed(scene.store, bundle)


def test_a_file_that_rotted_on_the_desks_disk(scene: Scene, tmp_path: Path) -> None:
    bundle = tiny_bundle.build(tmp_path / "rotten", ballast=(2_000_000, 1_000_000, 500_000))
    path = bundle.path("ballast_1.bin")
    good = path.read_bytes()
    path.write_bytes(good[:600_000] + bytes([good[600_000] ^ 1]) + good[600_001:])
    desk = scene.desk()
    device_id = scene.pair(desk).device_id
    scene.agent("run")
    error = desk.begin("install", device_id=device_id, bundle=folder(bundle)).result(90)["error"]
    assert "ballast_1.bin arrived damaged" in error
    assert scene.store.bundles() == []
    left = missing(scene.store, bundle)
    assert left >= len(good)
    path.write_bytes(good)
    check_half_way(scene.store, bundle)
    assert desk.ask("install", device_id=device_id, bundle=folder(bundle))["sent"] == left
    check_installed(scene.store, bundle)
