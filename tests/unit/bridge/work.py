"""A device's part of a job, as tests play it: pushes that wait in threads, and a result worth sending."""

from __future__ import annotations

import struct
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, JobEvent, JobResult
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle

from unit.bridge.client import Client

FRAMES = np.random.default_rng(1).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
SHAPE = "frames=3&height=4&width=6"
RAW = {"Content-Type": "application/octet-stream"}
MP4 = {"Content-Type": "video/mp4"}


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


VIDEO = box(b"ftyp", b"isom\0\0\0\0") + box(b"free") + box(b"mdat", b"frames") + box(b"moov", b"index")


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of these chunks."""
    body = b"".join(
        struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks
    )
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


PICTURE = webp((b"VP8X", bytes(10)), (b"ANIM", bytes(6)), (b"ANMF", bytes(17)), (b"EXIF", b"abc"))


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
