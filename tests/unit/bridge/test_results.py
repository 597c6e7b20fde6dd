"""Results and events are taken once, whole and plain (T18; docs/protocol.md sections 8 and 9)."""

from __future__ import annotations

import struct
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, JobResult

from unit.bridge.client import Client, client_for
from unit.bridge.conftest import pair_device
from unit.bridge.work import FRAMES, MP4, PICTURE, RAW, SHAPE, VIDEO, box, deliver, take


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


def test_an_animated_webp_is_taken_for_a_video_and_nothing_else_under_its_name(
    client: Client, running: tuple[Future[JobResult], str]
) -> None:
    future, path = running
    picture = {"Content-Type": "image/webp"}
    wrong = [
        client.send("PUT", f"{path}/result/video", data, kind)
        for data, kind in ((VIDEO, picture), (PICTURE, MP4), (PICTURE + b"PK", picture))
    ]
    assert [answer.code for answer in wrong] == ["bad_request"] * 3
    assert client.send("PUT", f"{path}/result/video", PICTURE, {"Content-Type": "image/png"}).status == 415
    assert client.send("PUT", f"{path}/result/video", PICTURE, picture).status == 204
    assert client.send("PUT", f"{path}/result/frames?{SHAPE}", FRAMES.tobytes(), RAW).status == 204
    assert client.send("POST", f"{path}/done", {"report": {}}).status == 204
    result = future.result(10)
    assert (result.video, result.mime) == (PICTURE, "image/webp")


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
