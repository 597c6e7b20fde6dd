"""A device whose clock is wrong: it says so, keeps what it has, and goes on when the clock is right."""

from __future__ import annotations

from pathlib import Path

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from faults.conftest import Scene, check_half_way, check_installed, missing, total, until

# The library of Debian's package libfaketime: every process has the clock that the file says, TLS too.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def clock(path: Path, says: str) -> dict[str, str]:
    """The environment of a process whose wall clock follows the file `path`."""
    assert FAKETIME is not None, "Install the package libfaketime to run this test."
    path.write_text(says + "\n", encoding="ascii")
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def test_a_clock_that_is_wrong_when_the_device_pairs_and_when_it_fetches(
    scene: Scene, bundle: Bundle
) -> None:
    desk = scene.desk()
    face = scene.folder / "clock"
    pairing = scene.agent("pair", "-", env=clock(face, "-30y"))
    pairing.say(desk.ask("offer")["uri"])
    assert pairing.end() == 1 and "which is what this device's clock says; set the clock" in pairing.said
    assert scene.home.pairings() == []

    device_id = scene.pair(desk, through_proxy=True).device_id
    proxy = scene.proxy(desk, 8e6)
    install = desk.begin("install", device_id=device_id, bundle=str(bundle.path("workflow.json").parent))
    agent = scene.agent("run")
    until(lambda: missing(scene.store, bundle) < 0.7 * total(bundle))
    agent.kill()
    left = missing(scene.store, bundle)
    for wrong in ("-30y", "+30y"):
        agent = scene.agent("run", env=clock(face, wrong))
        until(lambda agent=agent: "which is what this device's clock says; set the clock" in agent.said)
        assert agent.process.poll() is None and missing(scene.store, bundle) == left
        check_half_way(scene.store, bundle)
        if wrong == "-30y":
            agent.kill()
    # The last one is still there: the network sets its clock, and it goes on.
    proxy.rate = None
    until(lambda: not any(connected for _, _, connected in desk.ask("devices")["devices"]))
    before = desk.sent(device_id)
    face.write_text("+0\n", encoding="ascii")
    result = install.result(90)
    assert "error" not in result, result
    assert desk.sent(device_id) - before == left
    check_installed(scene.store, bundle)
