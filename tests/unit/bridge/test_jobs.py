"""Jobs over the wire: queue, bundle, progress, cancel, result, revoke (docs/protocol.md sections 6 to 9)."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, JobEvent, JobResult, PushCancelled
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge import tiny_bundle
from unit.bridge.client import Client, client_for
from unit.bridge.conftest import pair_device, wait_for

FRAMES = np.random.default_rng(1).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
SHAPE = "frames=3&height=4&width=6"
RAW = {"Content-Type": "application/octet-stream"}
MP4 = {"Content-Type": "video/mp4"}


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


VIDEO = box(b"ftyp", b"isom\0\0\0\0") + box(b"free") + box(b"mdat", b"frames") + box(b"moov", b"index")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle.build(tmp_path / "bundle", ballast=(100_000,))


class Pushes:
    """Pushes running in threads, as ComfyUI's executor thread does; collected at the test's end."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.pool = ThreadPoolExecutor(8)
        self.events: list[JobEvent] = []
        self.cancel = threading.Event()

    def start(
        self, device_id: str | None, bundle: Bundle, values: Any = None, **options: Any
    ) -> Future[JobResult]:
        return self.pool.submit(
            self.bridge.push,
            device_id,
            bundle,
            values or {},
            self.events.append,
            self.cancel.is_set,
            **options,
        )


@pytest.fixture
def pushes(bridge: Bridge) -> Iterator[Pushes]:
    pushes = Pushes(bridge)
    yield pushes
    pushes.cancel.set()
    pushes.pool.shutdown()


def take(client: Client) -> dict[str, Any]:
    answer = client.get("/v1/jobs/next?wait=10")
    assert answer.status == 200
    job: dict[str, Any] = answer.json
    return job


def deliver(client: Client, job: dict[str, Any], report: dict[str, Any] | None = None) -> None:
    path = f"/v1/jobs/{job['job_id']}"
    assert client.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW).status == 204
    assert client.send("PUT", f"{path}/result/video", VIDEO, MP4).status == 204
    assert client.send("POST", f"{path}/done", {"report": report or {}}).status == 204


def test_a_job_goes_out_and_its_result_comes_home(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    future = pushes.start(None, bundle, {"prompt": "a red circle", "seed": "18446744073709551615"})
    job = take(client)
    assert job == {
        "type": "job",
        "job_id": job["job_id"],
        "attempt": 1,
        "bundle_id": bundle.id,
        "values": {"prompt": "a red circle", "seed": "18446744073709551615"},
    }
    event = {"stage": "run", "fraction": 0.5, "message": "step 1\nof \u202e2"}
    assert client.send("POST", f"/v1/jobs/{job['job_id']}/events", event).json == {"state": "active"}
    deliver(client, job, {"seconds": 1.5})
    result = future.result(10)
    assert np.array_equal(result.frames, FRAMES)
    assert result.video == VIDEO
    assert result.report == {"seconds": 1.5}
    assert result.attempts == 1 and result.sent_bytes == 0
    assert result.bundle_bytes == sum(entry["bytes"] for entry in bundle.files.values())
    assert JobEvent("run", 0.5, "step 1 of 2") in pushes.events


def test_the_manifest_and_every_file_are_served_exactly(
    pushes: Pushes, client: Client, bundle: Bundle, bridge: Bridge, pairing: Pairing
) -> None:
    pushes.start(None, bundle)
    take(client)
    assert client.get(f"/v1/bundles/{bundle.id}/manifest").body == bundle.data
    for name, entry in bundle.files.items():
        answer = client.get(f"/v1/blobs/{entry['sha256']}")
        assert answer.status == 200 and answer.body == bundle.read(name)
        assert answer.headers["Accept-Ranges"] == "bytes"
    sent = wait_for(
        lambda: (
            len(bridge.bytes_sent(pairing.device_id)) == len(bundle.files)
            and bridge.bytes_sent(pairing.device_id)
        )
    )
    assert sent == {entry["sha256"]: entry["bytes"] for entry in bundle.files.values()}


def test_ranges_send_what_was_asked_and_count_it(
    pushes: Pushes, client: Client, bundle: Bundle, bridge: Bridge, pairing: Pairing
) -> None:
    pushes.start(None, bundle)
    take(client)
    entry = bundle.files["ballast_0.bin"]
    data, path = bundle.read("ballast_0.bin"), f"/v1/blobs/{entry['sha256']}"
    for header, first, last in (
        ("bytes=99990-", 99990, 99999),
        ("bytes=0-9", 0, 9),
        ("bytes=5-999999", 5, 99999),
    ):
        answer = client.get(path, Range=header)
        assert answer.status == 206 and answer.body == data[first : last + 1]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/100000"
        assert answer.headers["Content-Length"] == str(last - first + 1)
    wait_for(lambda: bridge.bytes_sent(pairing.device_id) == {entry["sha256"]: 10 + 10 + 99995})
    for header in (
        "bytes=100000-",
        "bytes=9-3",
        "bytes=-5",
        "bytes=0-1,5-6",
        "rows=0-1",
        "bytes=a-b",
        "bytes=0-" + "9" * 30,
    ):
        answer = client.get(path, Range=header)
        assert (answer.status, answer.code) == (416, "bad_range"), header
        assert answer.headers["Content-Range"] == "bytes */100000"


def test_t06_a_device_sees_only_bundles_of_its_own_unfinished_jobs(
    pushes: Pushes, client: Client, bundle: Bundle, bridge: Bridge, pairing: Pairing, tmp_path: Path
) -> None:
    other = client_for(pair_device(bridge, tmp_path / "other", "Other"))
    blob = f"/v1/blobs/{bundle.files['workflow.json']['sha256']}"
    manifest = f"/v1/bundles/{bundle.id}/manifest"
    assert client.get(blob).status == client.get(manifest).status == 404
    future = pushes.start(pairing.device_id, bundle)
    job = take(client)
    assert client.get(blob).status == client.get(manifest).status == 200
    refusal = other.get(blob)
    assert refusal.status == other.get(manifest).status == 404
    assert refusal.json == other.get("/v1/blobs/" + "0" * 64).json
    deliver(client, job)
    future.result(10)
    assert client.get(blob).status == client.get(manifest).status == 404


def test_t07_a_file_swapped_for_a_link_is_not_sent(
    pushes: Pushes, client: Client, bundle: Bundle, tmp_path: Path
) -> None:
    pushes.start(None, bundle)
    take(client)
    path = bundle.path("workflow.json")
    secret = tmp_path / "secret"
    secret.write_bytes(b"XX")
    path.unlink()
    path.symlink_to(secret)
    answer = client.get(f"/v1/blobs/{bundle.files['workflow.json']['sha256']}")
    assert answer.status == 404 and b"XX" not in answer.body


def test_a_push_of_a_bundle_that_lost_a_file_names_it(
    bridge: Bridge, pairing: Pairing, bundle: Bundle
) -> None:
    bundle.path("tokenizer.json").unlink()
    with pytest.raises(BridgeError, match=r"tokenizer\.json"):
        bridge.push(None, bundle, {})


# -- results (T18) ------------------------------------------------------------------------------------------


@pytest.fixture
def running(pushes: Pushes, client: Client, bundle: Bundle) -> tuple[Future[JobResult], str]:
    """A job that the device has taken: its future and its address."""
    future = pushes.start(None, bundle)
    return future, f"/v1/jobs/{take(client)['job_id']}"


def test_t18_each_part_counts_once(client: Client, running: tuple[Future[JobResult], str]) -> None:
    future, path = running
    frames, video = f"{path}/result/frames?{SHAPE}", f"{path}/result/video"
    assert client.send("PUT", frames, FRAMES.tobytes(), RAW).status == 204
    replay = client.send("PUT", frames, bytes(FRAMES.size), RAW)
    assert (replay.status, replay.code) == (409, "already_received")
    assert client.send("PUT", video, VIDEO, MP4).status == 204
    assert client.send("PUT", video, VIDEO, MP4).code == "already_received"
    assert client.send("POST", f"{path}/done", {"report": {}}).status == 204
    assert np.array_equal(future.result(10).frames, FRAMES)
    for answer in (
        client.send("POST", f"{path}/done", {"report": {}}),
        client.send("POST", f"{path}/failed", {"message": "late"}),
        client.send("PUT", frames, FRAMES.tobytes(), RAW),
        client.send("POST", f"{path}/events", {"stage": "run", "fraction": None, "message": ""}),
    ):
        assert (answer.status, answer.code) == (410, "job_over")


def test_t18_a_result_is_taken_only_from_the_device_that_holds_the_job(
    client: Client, running: tuple[Future[JobResult], str], bridge: Bridge, tmp_path: Path
) -> None:
    _, path = running
    other = client_for(pair_device(bridge, tmp_path / "other", "Other"))
    for answer in (
        other.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW),
        other.send("PUT", f"{path}/result/video", VIDEO, MP4),
        other.send("POST", f"{path}/done", {"report": {}}),
        other.send("POST", f"{path}/failed", {"message": "no"}),
        other.send("POST", f"{path}/events", {"stage": "run", "fraction": None, "message": ""}),
    ):
        assert (answer.status, answer.code) == (404, "not_found")
    assert client.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW).status == 204


@pytest.mark.parametrize(
    "query",
    [
        "",
        "frames=3&height=4",
        "frames=3&height=4&width=7",
        "frames=0&height=4&width=6",
        "frames=-3&height=-4&width=6",
        "frames=3&height=4&width=6e0",
        "frames=4097&height=1&width=1",
        "frames=1&height=1&width=8193",
        "frames=\u0663&height=4&width=6".encode().decode("latin-1"),
        "frames=999999999999&height=4&width=6",
    ],
)
def test_t18_frames_must_have_the_shape_they_claim(
    client: Client, running: tuple[Future[JobResult], str], query: str
) -> None:
    _, path = running
    try:
        answer = client.send("PUT", f"{path}/result/frames?{query}", FRAMES.tobytes(), RAW)
    except UnicodeEncodeError:
        return  # Python's own HTTP client refuses to send it
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.parametrize(
    "video",
    [
        b"",
        b"not a video at all",
        b"\x1aE\xdf\xa3 matroska",
        b"<html><script>alert(1)</script></html>",
        VIDEO[8:],
        VIDEO + b"<script>",
        VIDEO + b"PK\x03\x04" + b"\0" * 40,
        VIDEO + box(b"evil", b"<script>"),
        VIDEO + box(b"ftyp"),
        VIDEO + struct.pack(">I4s", 0, b"free") + b"swallowed",
        VIDEO + struct.pack(">I4s", 4, b"free"),
        VIDEO + struct.pack(">I4s", 2**31, b"free"),
        VIDEO + struct.pack(">I4sQ", 1, b"free", 2**63),
        VIDEO + box(b"moov"),
        box(b"ftyp") + box(b"moov"),
    ],
)
def test_t18_only_a_plain_mp4_is_taken_for_a_video(
    client: Client, running: tuple[Future[JobResult], str], video: bytes
) -> None:
    _, path = running
    answer = client.send("PUT", f"{path}/result/video", video, MP4)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert client.send("PUT", f"{path}/result/video", VIDEO, MP4).status == 204


def test_t18_done_needs_both_parts(client: Client, running: tuple[Future[JobResult], str]) -> None:
    _, path = running
    answer = client.send("POST", f"{path}/done", {"report": {}})
    assert (answer.status, answer.code) == (409, "incomplete")
    assert "frames and video" in answer.json["error"]["message"]


def test_a_restarted_device_gets_its_job_again_with_clean_slots(
    client: Client, running: tuple[Future[JobResult], str]
) -> None:
    future, path = running
    assert client.send("PUT", f"{path}/result/frames?{SHAPE}", bytes(FRAMES.size), RAW).status == 204
    job = take(client)
    assert job["attempt"] == 2 and path.endswith(job["job_id"])
    deliver(client, job)
    result = future.result(10)
    assert result.attempts == 2 and np.array_equal(result.frames, FRAMES)


# -- failing, cancelling, leaving ---------------------------------------------------------------------------


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
        time.sleep(0.3)
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


# -- what push says -----------------------------------------------------------------------------------------


def test_push_without_a_device_says_how_to_pair(bridge: Bridge, bundle: Bundle) -> None:
    with pytest.raises(BridgeError, match=r"No device is paired with this desk; .*pair"):
        bridge.push(None, bundle, {})


def test_push_to_a_silent_device_says_how_to_start_it(bridge: Bridge, tmp_path: Path, bundle: Bundle) -> None:
    pairing = pair_device(bridge, tmp_path / "device", "Sleeping tablet")
    started = time.monotonic()
    with pytest.raises(BridgeError, match=r"Sleeping tablet is not connected; start it with .* run"):
        bridge.push(pairing.device_id, bundle, {}, connect_seconds=0.3)
    assert time.monotonic() - started < 20
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


@pytest.mark.parametrize(
    "event",
    [
        {"stage": "hacking", "fraction": None, "message": ""},
        {"stage": "run", "fraction": 1.5, "message": ""},
        {"stage": "run", "fraction": True, "message": ""},
        {"stage": "run", "fraction": "0.5", "message": ""},
        {"stage": "run", "fraction": 0.5},
        {"stage": "run", "fraction": 0.5, "message": "", "more": 1},
        [],
        "run",
    ],
)
def test_malformed_events_are_refused(
    client: Client, running: tuple[Future[JobResult], str], event: Any
) -> None:
    _, path = running
    answer = client.send("POST", f"{path}/events", event)
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b'{"report": NaN}',
        b'{"report": {"a": Infinity}}',
        b"{",
        b"\xff\xfe",
        b'{"report": ' + b'{"a":' * 30 + b"1" + b"}" * 31,
        b"[" * 60000,
    ],
)
def test_t17_hostile_json_is_refused(
    client: Client, running: tuple[Future[JobResult], str], body: bytes
) -> None:
    _, path = running
    answer = client.send("POST", f"{path}/done", body)
    assert (answer.status, answer.code) == (400, "bad_request")


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
