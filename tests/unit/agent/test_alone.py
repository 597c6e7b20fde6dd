"""Installed bundles that run without a desk, and what happens to the videos that they make."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.agent.cli import main
from comfyui_pocketvideo.mobile_runtime.agent.desk import Desk, pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError
from comfyui_pocketvideo.mobile_runtime.agent.handshake import read_uri
from comfyui_pocketvideo.mobile_runtime.agent.home import Home
from comfyui_pocketvideo.mobile_runtime.agent.making import find_bundle, read_values
from comfyui_pocketvideo.mobile_runtime.agent.send_back import send_all
from comfyui_pocketvideo.mobile_runtime.agent.shelf import Made, Shelf
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle

from unit.agent.conftest import Workplace
from unit.bridge import tiny_bundle
from unit.bridge.conftest import wait_for


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle.build(tmp_path / "bundle", ballast=(400_000,))


@pytest.fixture
def installed(workplace: Workplace, bundle: Bundle) -> Workplace:
    """A device that has the bundle, and whose agent has ended."""
    agent = workplace.agent("run", "--once")
    result = workplace.bridge.install(workplace.pairing.device_id, bundle, connect_seconds=60)
    assert result.sent_bytes == result.bundle_bytes == sum(e["bytes"] for e in bundle.files.values())
    assert result.report["self_test"]["components"]["vae_decoder"]["psnr"] >= 60
    assert agent.wait(30) == 0
    return workplace


def say(workplace: Workplace, *arguments: str) -> tuple[int, str, str]:
    """One command of the agent: status, output, words."""
    process = workplace.agent(*arguments)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def connected(workplace: Workplace) -> Desk:
    pairing = workplace.pairing
    return Desk(pairing.host, pairing.port, pinned_context(pairing.certificate), pairing.token)


def kept(home: Home, size: int = 3000) -> Made:
    """A result on the shelf: a file that passes for an MP4."""
    from unit.bridge.work import box

    shelf = Shelf(home.results)
    with shelf.work_folder() as folder:
        video = folder / "video.mp4"
        body = np.random.default_rng(3).bytes(size)
        video.write_bytes(box(b"ftyp", b"isom\0\0\0\0") + box(b"mdat", body) + box(b"moov", b"index"))
        return shelf.keep(video, "b" * 64, "a red\ncircle", {"seed": "7"}, 1.5)


def test_an_install_keeps_the_bundle_tested_and_brings_nothing_home(installed: Workplace) -> None:
    (identity,) = installed.store.bundles()
    assert (installed.home.folder / "self-tests" / f"{identity}.json").is_file()
    assert not installed.home.outputs.exists()


def test_a_held_bundle_makes_the_engines_video_with_no_desk_in_reach(
    installed: Workplace, bundle: Bundle, tmp_path: Path
) -> None:
    installed.bridge.stop()
    out = tmp_path / "mine.mp4"
    command = ("make", "tiny", "--prompt", "a red circle", "--seed", "5", "--set", "steps=3")
    status, output, errors = say(installed, *command, "--out", str(out))
    assert status == 0, errors
    (made,) = Shelf(installed.home.results).results()
    assert output == f"result {made.result_id} {out}\n"
    (tmp_path / "here").mkdir()
    expected = run_bundle(
        bundle, {"prompt": "a red circle", "seed": "5", "steps": 3}, output_dir=tmp_path / "here"
    )
    video = Shelf(installed.home.results).path(made)
    assert out.read_bytes() == video.read_bytes() == expected.video_path.read_bytes()
    assert made.values == {"prompt": "a red circle", "seed": "5", "steps": 3}
    assert (made.bundle_id, made.name, made.mime) == (bundle.id, "a red circle", "video/mp4")
    assert made.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    _, listing, _ = say(installed, "results")
    assert made.result_id[:12] in listing and "only here" in listing
    _, bundles, _ = say(installed, "bundles")
    assert "prompt (text, default 'a red circle')" in bundles


def test_an_agent_sends_back_by_itself_what_was_made_beside_it(installed: Workplace, tmp_path: Path) -> None:
    arrived: list[Any] = []
    installed.bridge._on_result = lambda path, told, device: arrived.append(  # type: ignore[attr-defined]
        (path.read_bytes(), told, device.name)
    )
    installed.bridge.stop()
    installed.bridge.start()
    installed.agent("run", "--send-back")
    wait_for(lambda: installed.bridge.devices()[0].connected, 30)
    status, _, errors = say(installed, "make", "tiny", "--seed", "9")
    assert status == 0, errors
    (made,) = Shelf(installed.home.results).results()
    wait_for(lambda: arrived, 30)
    data, told, device = arrived[0]
    assert data == Shelf(installed.home.results).path(made).read_bytes() and device == "Test device"
    assert told.result_id == made.result_id and told.values["seed"] == "9"
    wait_for(lambda: Shelf(installed.home.results).results()[0].sent_to == (installed.pairing.desk_id,))


def test_a_result_goes_on_where_it_broke_off_and_goes_once(workplace: Workplace) -> None:
    made = kept(workplace.home, 400_000)
    shelf = Shelf(workplace.home.results)
    path = shelf.path(made)

    async def work() -> None:
        async with connected(workplace) as desk:
            assert await desk.announce_result(made.announcement()) == ("open", 0)
            headers = {
                "Content-Type": made.mime,
                "Content-Length": "150000",
                "Content-Range": f"bytes 0-149999/{made.bytes}",
            }
            part = path.read_bytes()[:150_000]
            async with desk._answer("PUT", f"/v1/results/{made.result_id}", headers=headers, data=part):
                pass
            assert await desk.announce_result(made.announcement()) == ("open", 150_000)
            offsets = []
            send = desk.send_result

            async def noted(result_id: str, mime: str, path: Path, size: int, offset: int) -> None:
                offsets.append(offset)
                await send(result_id, mime, path, size, offset)

            desk.send_result = noted  # type: ignore[method-assign]
            assert [item.result_id for item in await send_all(desk, workplace.pairing, workplace.home)] == [
                made.result_id
            ]
            assert offsets == [150_000]
            assert await send_all(desk, workplace.pairing, workplace.home) == []

    asyncio.run(work())


def test_the_shelf_shows_whole_results_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = kept(home)
    assert made.name == "a red circle"
    shelf = Shelf(home.results)
    (home.results / "new-1234").mkdir()
    (home.results / "new-1234" / "result.json").write_text(json.dumps({"result_id": "x"}))
    (home.results / "broken").mkdir()
    (home.results / "broken" / "result.json").write_text("{")
    with pytest.raises(RuntimeError), shelf.work_folder() as folder:
        raise RuntimeError
    assert not folder.exists()
    assert [item.result_id for item in shelf.results()] == [made.result_id]
    with pytest.raises(AgentError, match="No results have an id"):
        shelf.find("zz")
    shelf.remove(shelf.find(made.result_id[:6]))
    assert shelf.results() == []


def test_deleting_a_bundle_frees_what_no_other_uses(installed: Workplace, capfd: Any) -> None:
    part = installed.store.part_path("a" * 64)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(bytes(2_000_000))
    home = ["--home", str(installed.home.folder)]
    assert main([*home, "delete", "unfinished"]) == 0 and not part.exists()
    assert main([*home, "delete", "nothing"]) == 1
    assert main([*home, "delete", "tiny"]) == 0
    assert installed.store.bundles() == [] and installed.store.used_bytes() == 0
    words = capfd.readouterr().err
    assert "Freed 2.0 MB" in words and "No bundle is called 'nothing'" in words
    assert "Deleted the bundle 'tiny'" in words


def test_what_make_cannot_do_it_says(installed: Workplace, bundle: Bundle) -> None:
    store = installed.store
    assert find_bundle(store, bundle.id[:8]).id == bundle.id
    with pytest.raises(AgentError, match=r"No bundle is called 'other'; name one of these.*tiny"):
        find_bundle(store, "other")
    with pytest.raises(AgentError, match="names no input; write NAME=VALUE"):
        read_values(bundle, None, None, ["size=3"])
    with pytest.raises(AgentError, match="takes a number"):
        read_values(bundle, None, None, ["steps=many"])
    status, _, errors = say(installed, "make", "tiny", "--set", "steps=5000")
    assert status == 1 and "'steps' is 5000 and must lie between" in errors
    assert Shelf(installed.home.results).results() == []
    assert list(installed.home.results.iterdir()) == []


def test_t17_a_bundle_that_cannot_fit_is_refused_at_the_desk_before_it_is_sent(
    workplace: Workplace, bundle: Bundle, tmp_path: Path
) -> None:
    workplace.agent("run", "--quota", "600KB")
    device_id = workplace.pairing.device_id
    wait_for(lambda: (d := workplace.bridge.devices()[0]).connected and d.status, 30)
    workplace.bridge.install(device_id, bundle, connect_seconds=60)
    wait_for(lambda: workplace.bridge.devices()[0].status.bundles, 30)
    before = workplace.sent()
    # Shares all but one file with what is there: fits.
    near = tiny_bundle.build(tmp_path / "near", ballast=(400_000, 100_000))
    workplace.bridge.install(device_id, near, connect_seconds=60)
    assert workplace.sent() - before == 100_000
    wait_for(lambda: len(workplace.bridge.devices()[0].status.bundles) == 2, 30)
    far = tiny_bundle.build(tmp_path / "far", seed=1, ballast=(500_000,))
    with pytest.raises(
        BridgeError, match=r"Test device has .* free and 'tiny' needs .*; delete a bundle there"
    ):
        workplace.bridge.install(device_id, far, connect_seconds=60)
    assert workplace.sent() - before == 100_000


def test_a_status_says_what_is_here_and_what_is_free(workplace: Workplace, bundle: Bundle) -> None:
    workplace.agent("run", "--quota", "50MB")
    wait_for(lambda: workplace.bridge.devices()[0].status, 30)
    empty = workplace.bridge.devices()[0].status
    assert empty.free_bytes == empty.total_bytes == 50_000_000 and empty.bundles == ()
    assert empty.runtime.startswith("onnxruntime ") and (empty.memory_bytes or 0) > 0
    workplace.bridge.install(None, bundle, connect_seconds=60)
    status = wait_for(lambda: (s := workplace.bridge.devices()[0].status).bundles and s, 30)
    size = sum(entry["bytes"] for entry in bundle.files.values())
    assert [(b.bundle_id, b.name, b.bytes) for b in status.bundles] == [(bundle.id, "tiny", size)]
    assert status.free_bytes == 50_000_000 - size


def test_a_cancel_comes_by_the_socket(workplace: Workplace, tmp_path: Path) -> None:
    long = tiny_bundle.build(tmp_path / "long", shape=(1, 3, 17, 192, 192))
    agent = workplace.agent("run")
    future = workplace.push(long, {"steps": 1000})
    wait_for(lambda: any(event.stage == "run" for event in workplace.events), 60)
    core = workplace.bridge._core
    assert core is not None and workplace.pairing.device_id in core.sockets
    workplace.cancel.set()
    with pytest.raises(BridgeError):
        future.result(30)
    workplace.cancel.clear()
    workplace.push(long, {"steps": 1}).result(60)
    agent.terminate()
    _, errors = agent.communicate(timeout=30)
    assert "The desk withdrew job" in errors


def test_a_desk_that_is_paired_while_the_agent_runs_is_served(workplace: Workplace, tmp_path: Path) -> None:
    workplace.agent("run")
    wait_for(lambda: workplace.bridge.devices()[0].connected, 30)
    other = Bridge(tmp_path / "other desk", desk_name="Other desk")
    try:
        command = workplace.agent("pair", "-")
        assert command.stdin is not None
        command.stdin.write(other.begin_pairing().uri + "\n")
        command.stdin.flush()
        other.confirm(wait_for(other.pending)[0].device_id)
        assert command.wait(30) == 0
        wait_for(lambda: other.devices()[0].connected, 30)
        assert workplace.bridge.devices()[0].connected
    finally:
        other.stop()


def test_the_qr_codes_address_is_read_and_the_old_one_too() -> None:
    fragment = "#s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "ab" * 32
    for scheme in ("https", "pocketvideo"):
        assert read_uri(f"{scheme}://192.168.1.2:8443/{fragment}").port == 8443
    with pytest.raises(AgentError, match="not a pairing address"):
        read_uri(f"http://192.168.1.2:8443/{fragment}")


def test_a_desk_on_the_network_is_found(tmp_path: Path) -> None:
    from comfyui_pocketvideo.mobile_runtime.agent.discover import discover

    bridge = Bridge(tmp_path / "desk", desk_name="Studio", discoverable=True)
    bridge.start()
    try:
        found = discover(3.0, ["127.0.0.1"])
        mine = [desk for desk in found if desk.address == bridge.address]
        assert [(desk.name, desk.fingerprint) for desk in mine] == [("Studio", bridge.fingerprint[:8])]
    finally:
        bridge.stop()


def test_without_a_socket_the_agent_asks_for_work(
    workplace: Workplace, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that refuses the upgrade, as some do: the long poll brings the job all the same."""
    from comfyui_pocketvideo.mobile_runtime.agent.orders import Asking, Listening, orders_of

    async def work() -> tuple[type, str]:
        async with connected(workplace) as desk:
            async with orders_of(desk) as orders:
                assert isinstance(orders, Listening)
            monkeypatch.setattr(desk, "open_socket", lambda: desk._json("GET", "/v1/nowhere"))
            async with orders_of(desk) as orders:
                offer = await orders.next()
                return type(orders), offer.bundle_id

    future = workplace.push(bundle)
    assert asyncio.run(work()) == (Asking, bundle.id)
    workplace.cancel.set()
    with pytest.raises(BridgeError):
        future.result(30)


def test_a_connection_that_ended_meanwhile_says_why_and_never_crashes(
    workplace: Workplace, bundle: Bundle
) -> None:
    from comfyui_pocketvideo.mobile_runtime.agent.errors import DeskRefused, DeskUnreachable
    from comfyui_pocketvideo.mobile_runtime.agent.orders import orders_of

    async def work() -> None:
        for end, error in ((workplace.bridge.stop, DeskUnreachable), (revoke, DeskRefused)):
            workplace.bridge.start()
            async with connected(workplace) as desk, orders_of(desk) as orders:
                await asyncio.to_thread(end)
                await asyncio.sleep(0.5)
                with pytest.raises(error):
                    await orders.next()

    def revoke() -> None:
        workplace.bridge.revoke(workplace.pairing.device_id)

    asyncio.run(work())
