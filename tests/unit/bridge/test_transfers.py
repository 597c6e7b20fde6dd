"""Jobs go out, and bundles are served to their own device alone (docs/protocol.md sections 6 and 7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError, JobEvent
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge.client import Client, client_for
from unit.bridge.conftest import pair_device, wait_for
from unit.bridge.work import FRAMES, VIDEO, Pushes, deliver, take


def test_a_job_goes_out_and_its_result_comes_home(pushes: Pushes, client: Client, bundle: Bundle) -> None:
    future = pushes.start(None, bundle, {"prompt": "a red circle", "seed": "18446744073709551615"})
    job = take(client)
    assert job == {
        "type": "job",
        "kind": "run",
        "job_id": job["job_id"],
        "attempt": 1,
        "bundle_id": bundle.id,
        "name": "tiny",
        "values": {"prompt": "a red circle", "seed": "18446744073709551615"},
    }
    event = {"stage": "run", "fraction": 0.5, "message": "step 1\nof \u202e2"}
    assert client.send("POST", f"/v1/jobs/{job['job_id']}/events", event).json == {"state": "active"}
    deliver(client, job, {"seconds": 1.5})
    result = future.result(10)
    assert np.array_equal(result.frames, FRAMES)
    assert (result.video, result.mime) == (VIDEO, "video/mp4")
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
