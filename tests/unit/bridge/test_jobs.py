"""Queue, cancel, revoke, and what a push says to its user (docs/protocol.md sections 6 and 8)."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, JobEvent, JobResult, PushCancelled
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge.client import Client, client_for
from unit.bridge.conftest import pair_device, wait_for
from unit.bridge.work import FRAMES, RAW, SHAPE, Pushes, deliver, take


def test_a_devices_failure_reaches_the_user_as_one_plain_line(
    client: Client, running: tuple[Future[JobResult], str]
) -> None:
    future, path = running
    message = "weights/a.safetensors is damaged;\n\x1b[31msend\u202e it again." + "x" * 5000
    assert client.send("POST", f"{path}/failed", {"message": message}).status == 204
    with pytest.raises(BridgeError) as caught:
        future.result(10)
    text = str(caught.value)
    assert "Test device did not finish the job: weights/a.safetensors is damaged; [31msend it again." in text
    assert text.isprintable() and len(text) < 700


def test_cancelling_reaches_the_device_and_frees_it_for_the_next_job(
    pushes: Pushes, client: Client, bundle: Bundle
) -> None:
    future = pushes.start(None, bundle)
    path = f"/v1/jobs/{take(client)['job_id']}"
    event = {"stage": "run", "fraction": 0.1, "message": "step 1"}
    assert client.send("POST", f"{path}/events", event).json == {"state": "active"}
    pushes.cancel.set()
    with pytest.raises(PushCancelled):
        future.result(10)
    assert client.send("POST", f"{path}/events", event).json == {"state": "cancelled"}
    assert client.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW).code == "job_over"
    assert client.get("/v1/jobs/next").status == 204
    pushes.cancel.clear()
    again = pushes.start(None, bundle)
    deliver(client, take(client))
    again.result(10)


def test_an_error_in_the_callers_own_callback_withdraws_the_job(
    bridge: Bridge, client: Client, bundle: Bundle
) -> None:
    def broken(event: JobEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bridge.push(None, bundle, {}, broken)
    assert client.get("/v1/jobs/next").status == 204


def test_jobs_wait_their_turn(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    first = pushes.start(None, bundle, {"n": 1})
    wait_for(lambda: pushes.events)
    second = pushes.start(None, bundle, {"n": 2})
    wait_for(lambda: len(pushes.events) == 2)
    for future, number in ((first, 1), (second, 2)):
        job = take(client)
        assert job["values"] == {"n": number}
        deliver(client, job)
        future.result(10)


def test_t17_a_device_queues_at_most_four_jobs(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    for number in range(4):
        pushes.start(None, bundle)
        wait_for(lambda wanted=number + 1: len(pushes.events) == wanted)
    with pytest.raises(BridgeError, match="4 jobs in its queue"):
        pushes.bridge.push(None, bundle, {})


def test_a_poll_wakes_at_once_when_a_job_comes(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(client.get, "/v1/jobs/next?wait=25")
        wait_for(lambda: pushes.bridge.devices()[0].connected)
        assert not poll.done()
        pushes.start(None, bundle)
        assert poll.result(10).status == 200


def test_a_newer_poll_ends_the_older_one_and_gets_the_job(
    pushes: Pushes, client: Client, bundle: Bundle
) -> None:
    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(client.get, "/v1/jobs/next?wait=25")
        wait_for(lambda: pushes.bridge.devices()[0].connected)
        newer = pool.submit(client.get, "/v1/jobs/next?wait=25")
        assert older.result(10).status == 204
        pushes.start(None, bundle)
        assert newer.result(10).status == 200


def test_t06_revoking_ends_polls_transfers_and_jobs_at_once(
    pushes: Pushes, client: Client, pairing: Pairing, bundle: Bundle, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(client.get, "/v1/jobs/next?wait=25")
        wait_for(lambda: pushes.bridge.devices()[0].connected)
        pushes.bridge.revoke(pairing.device_id)
        answer = poll.result(10)
        assert (answer.status, answer.code) == (401, "unauthorized")
    assert client.get("/v1/device").status == 401
    assert pairing.device_id.encode() not in (tmp_path / "desk" / "bridge.json").read_bytes()
    with pytest.raises(BridgeError, match="No device is paired"):
        pushes.bridge.push(None, bundle, {})
    with pytest.raises(BridgeError, match="No device with id"):
        pushes.bridge.revoke(pairing.device_id)


def test_t06_revoking_fails_the_running_job_in_words(
    client: Client, running: tuple[Future[JobResult], str], bridge: Bridge, pairing: Pairing
) -> None:
    future, path = running
    bridge.revoke(pairing.device_id)
    with pytest.raises(BridgeError, match="was revoked at the desk"):
        future.result(10)
    answer = client.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW)
    assert answer.status == 401


def test_t06_a_device_revokes_itself(client: Client, bridge: Bridge) -> None:
    assert client.send("DELETE", "/v1/device").status == 204
    assert client.get("/v1/device").status == 401 and bridge.devices() == []


def test_push_without_a_device_says_how_to_pair(bridge: Bridge, bundle: Bundle) -> None:
    with pytest.raises(BridgeError, match=r"No device is paired with this desk; .*pair"):
        bridge.push(None, bundle, {})


def test_push_to_a_silent_device_says_how_to_start_it(bridge: Bridge, tmp_path: Path, bundle: Bundle) -> None:
    pairing = pair_device(bridge, tmp_path / "device", "Sleeping tablet")
    with pytest.raises(BridgeError, match=r"Sleeping tablet is not connected; start it with .* run"):
        bridge.push(pairing.device_id, bundle, {}, connect_seconds=0.3)
    assert client_for(pairing).get("/v1/jobs/next").status == 204


def test_push_with_two_devices_asks_to_choose(bridge: Bridge, tmp_path: Path, bundle: Bundle) -> None:
    pair_device(bridge, tmp_path / "one", "One")
    pair_device(bridge, tmp_path / "two", "Two")
    with pytest.raises(BridgeError, match=r"2 devices are paired \(One, Two\); choose"):
        bridge.push(None, bundle, {})
    with pytest.raises(BridgeError, match="is not paired"):
        bridge.push("f" * 16, bundle, {})


@pytest.mark.parametrize("values", [{"x": float("nan")}, {"x": object()}, {"x": "y" * 300_000}])
def test_values_that_json_cannot_carry_are_refused(
    bridge: Bridge, pairing: Pairing, bundle: Bundle, values: Any
) -> None:
    with pytest.raises(BridgeError, match="values"):
        bridge.push(None, bundle, values)


def test_stopping_the_bridge_fails_a_waiting_push_in_words(
    client: Client, running: tuple[Future[JobResult], str], bridge: Bridge
) -> None:
    future, _ = running
    bridge.stop()
    with pytest.raises(BridgeError, match="stopped"):
        future.result(10)


def test_a_job_that_crashes_the_device_ends_after_five_tries(
    client: Client, running: tuple[Future[JobResult], str]
) -> None:
    future, _ = running
    for attempt in range(2, 6):
        assert take(client)["attempt"] == attempt
    assert client.get("/v1/jobs/next").status == 204
    with pytest.raises(BridgeError, match="started 5 times"):
        future.result(20)


def test_a_device_that_still_fetches_may_try_as_often_as_it_needs(
    client: Client, running: tuple[Future[JobResult], str], bundle: Bundle
) -> None:
    future, _ = running
    for attempt in range(2, 12):
        assert client.get(f"/v1/blobs/{bundle.files['workflow.json']['sha256']}").status == 200
        assert take(client)["attempt"] == attempt
    assert not future.done()
