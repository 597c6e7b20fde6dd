"""Install jobs: the bundle stays on the device, nothing comes home (docs/protocol.md sections 6 and 9)."""

from __future__ import annotations

import math
from concurrent.futures import Future
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, InstallResult, JobEvent
from comfyui_pocketvideo.mobile_runtime.bridge.offers import BundleOffer
from comfyui_pocketvideo.mobile_runtime.bridge.room import check_room
from comfyui_pocketvideo.mobile_runtime.bridge.status import DeviceStatus, HeldBundle
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge import tiny_bundle
from unit.bridge.client import Client
from unit.bridge.conftest import wait_for
from unit.bridge.work import FRAMES, MP4, RAW, SHAPE, VIDEO, Pushes, take


def start(pushes: Pushes, bundle: Bundle) -> Future[InstallResult]:
    return pushes.pool.submit(
        pushes.bridge.install,
        None,
        bundle,
        pushes.events.append,
        pushes.cancel.is_set,
        connect_seconds=math.inf,
    )


def test_an_install_ends_with_done_alone(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    future = start(pushes, bundle)
    job = take(client)
    assert (job["kind"], job["values"], job["name"]) == ("install", {}, "tiny")
    path = f"/v1/jobs/{job['job_id']}"
    refusal = client.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW)
    assert (refusal.status, refusal.code) == (400, "bad_request")
    assert client.send("PUT", f"{path}/result/video", VIDEO, MP4).code == "bad_request"
    event = {"stage": "self_test", "fraction": 1.0, "message": "vae_decoder"}
    assert client.send("POST", f"{path}/events", event).json == {"state": "active"}
    assert client.send("POST", f"{path}/done", {"report": {"seconds": {"fetch": 1.5}}}).status == 204
    result = future.result(10)
    assert result.report == {"seconds": {"fetch": 1.5}} and result.attempts == 1
    assert JobEvent("self_test", 1.0, "vae_decoder") in pushes.events


def test_an_install_waits_for_a_device_that_is_away(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    future = start(pushes, bundle)
    wait_for(lambda: pushes.events)
    assert not future.done() and pushes.events[0].stage == "queued"
    job = take(client)
    assert client.send("POST", f"/v1/jobs/{job['job_id']}/done", {"report": {}}).status == 204
    future.result(10)


def test_many_jobs_of_two_kinds_go_out_in_their_order(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    first = start(pushes, bundle)
    wait_for(lambda: len(pushes.events) == 1)
    pushes.start(None, bundle)
    wait_for(lambda: len(pushes.events) == 2)
    job = take(client)
    assert job["kind"] == "install"
    client.send("POST", f"/v1/jobs/{job['job_id']}/done", {"report": {}})
    first.result(10)
    assert take(client)["kind"] == "run"


@pytest.fixture
def offer(bundle: Bundle) -> BundleOffer:
    return BundleOffer.of(bundle)


def status(free: int | None, *held: HeldBundle) -> DeviceStatus:
    return DeviceStatus(free_bytes=free, bundles=held)


def test_what_cannot_fit_is_refused_with_what_to_delete(offer: BundleOffer) -> None:
    need = offer.total_bytes
    known = {"a" * 64: {"0" * 64: 10**9}}
    big = HeldBundle("a" * 64, "wan", 3 * 10**9)
    check_room("Tablet", status(need), offer, known)
    check_room("Tablet", status(None), offer, known)
    with pytest.raises(
        BridgeError,
        match=r"Tablet has 0\.1 MB free and 'tiny' needs 0\.1 MB; delete a bundle there \(wan 3\.0 GB\)",
    ):
        check_room("Tablet", status(need - 1, big), offer, known)
    with pytest.raises(BridgeError, match="make room there and send it again"):
        check_room("Tablet", status(need - 1), offer, known)


def test_what_may_fit_because_files_are_shared_is_not_refused(offer: BundleOffer, tmp_path: Path) -> None:
    other = BundleOffer.of(tiny_bundle.build(tmp_path / "other", ballast=(100_000, 50_000)))
    blobs = {blob.sha256: blob.size for blob in offer.blobs.values()}
    held = HeldBundle(offer.bundle_id, "tiny", offer.total_bytes)
    known = {offer.bundle_id: blobs}
    # Of the other, 50,000 bytes are new; held already it needs nothing.
    check_room("Tablet", status(50_000, held), other, known)
    check_room("Tablet", status(0, held), offer, known)
    with pytest.raises(BridgeError, match=r"needs 0\.1 MB|needs 0\.0 MB"):
        check_room("Tablet", status(49_999, held), other, known)
    # A bundle that this desk has never seen may be all of it.
    check_room("Tablet", status(0, HeldBundle("c" * 64, "unknown", other.total_bytes)), other, {})


def test_the_bridge_refuses_before_it_queues(
    bridge: Bridge, client: Client, bundle: Bundle, pushes: Pushes
) -> None:
    body = {
        "free_bytes": 1000,
        "total_bytes": 2000,
        "memory_bytes": None,
        "runtime": "",
        "app": "",
        "bundles": [],
    }
    assert client.send("PUT", "/v1/device/status", body).status == 204
    with pytest.raises(BridgeError, match="make room there"):
        bridge.install(None, bundle)
    assert client.get("/v1/jobs/next").status == 204
