"""What the desk's side is told: paired devices, and how a push or an install ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .status import DeviceStatus


@dataclass(frozen=True)
class DeviceInfo:
    """A paired device as the desk shows it; times in Unix seconds, `connected` if heard of just now.

    `status` is what it last said of itself, None before it ever did.
    """

    device_id: str
    name: str
    kind: str
    paired_at: float
    last_seen: float
    connected: bool
    status: DeviceStatus | None = None


@dataclass(frozen=True)
class InstallResult:
    """A bundle that is on the device and passed its self-test there: the device's report, and what it cost.

    `bundle_bytes` is what a device with an empty store fetches, `sent_bytes` what was really sent for this
    job, `attempts` how often the job was handed out.
    """

    report: dict[str, Any]
    bundle_bytes: int
    sent_bytes: int
    attempts: int


@dataclass(frozen=True)
class JobResult(InstallResult):
    """What a device made: `frames` uint8 [T, H, W, 3], the video's bytes, and as of an install.

    `mime` is the video's: `video/mp4`, or `image/webp` of a device that can encode nothing else.
    """

    frames: np.ndarray[Any, Any]
    video: bytes
    mime: str
