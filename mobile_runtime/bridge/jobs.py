"""Jobs at the desk: a short queue per device, one job out at a time, results taken once (T6, T17, T18).

`JobBoard` lives on the bridge's event loop and knows nothing about HTTP; a `Job` is also read by the thread
that waits in `Bridge.push`, through its thread-safe queue of events and its `over` flag.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import ApiError, BridgeError
from .feed import Feed
from .offers import Blob, BundleOffer

log = logging.getLogger(__name__)

MAX_JOBS_PER_DEVICE = 4
KEEP_FINISHED = 64
# So often may a job be handed out without a byte of its bundle moving: it crashes the device, and must end.
MAX_FRUITLESS_ATTEMPTS = 5
# A device that said nothing for so long is shown as away; it reports at least every 5 s (docs/protocol.md).
AWAY_SECONDS = 15.0


@dataclass(frozen=True)
class JobEvent:
    """Progress of a job: `stage` as in docs/protocol.md or the desk's `queued`, `away`; `fraction` 0 to 1."""

    stage: str
    fraction: float | None
    message: str


@dataclass
class Job:
    """One bundle to install or to run on one device, from queue to end.

    `kind` "install" asks the device to fetch, verify, test and keep the bundle; "run" to run it, too, with
    `values`, and to send frames and video home.
    """

    job_id: str
    device_id: str
    offer: BundleOffer
    values: dict[str, Any]
    kind: str = "run"
    state: str = "queued"  # queued -> active -> done | failed | cancelled
    attempt: int = 0
    fruitless: int = 0
    frames: np.ndarray[Any, Any] | None = None
    video: bytes | None = None
    mime: str = ""  # the video's, once that is here
    report: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    events: queue.SimpleQueue[JobEvent] = field(default_factory=queue.SimpleQueue)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def open(self) -> bool:
        """Whether the device may still work on it."""
        return self.state in ("queued", "active")

    def message(self) -> dict[str, Any]:
        """The job as docs/protocol.md section 6 hands it out."""
        return {
            "type": "job",
            "kind": self.kind,
            "job_id": self.job_id,
            "attempt": self.attempt,
            "bundle_id": self.offer.bundle_id,
            "name": self.offer.name,
            "values": self.values,
        }


class JobBoard:
    """All jobs of all devices, and who was heard of when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._feeds: dict[str, Feed] = {}
        self._heard: dict[str, float] = {}
        self._closed = False
        self.known: dict[str, dict[str, int]] = {}
        """Bytes by SHA-256 of the bundles that were offered of late, by bundle id."""

    def submit(
        self, device_id: str, device_name: str, offer: BundleOffer, values: dict[str, Any], kind: str = "run"
    ) -> Job:
        """Queue a job and tell the device's feed."""
        waiting = [job for job in self._jobs.values() if job.device_id == device_id and job.open]
        if len(waiting) >= MAX_JOBS_PER_DEVICE:
            raise BridgeError(
                f"{device_name} has {len(waiting)} jobs in its queue, which is the limit; wait or cancel one."
            )
        job = Job(secrets.token_hex(16), device_id, offer, values, kind)
        self._jobs[job.job_id] = job
        self.known.pop(offer.bundle_id, None)
        self.known[offer.bundle_id] = {blob.sha256: blob.size for blob in offer.blobs.values()}
        self._forget_old()
        self._signal(device_id)
        return job

    def subscribe(self, device_id: str) -> Feed:
        """Messages for a device that has nothing to do, as a context manager; ends an older feed of it."""
        older = self._feeds.pop(device_id, None)
        if older is not None:
            older.end("replaced")
        feed = Feed(self, device_id)
        if self._closed:
            feed.end("stopping")
        else:
            self._feeds[device_id] = feed
        return feed

    def unsubscribe(self, device_id: str, feed: Feed, *, here: bool) -> None:
        """End a feed; `here` says whether its device is still at the other end."""
        if self._feeds.get(device_id) is feed:
            del self._feeds[device_id]
            # A device that hung up is away at once, and patience with it is counted from now.
            self._heard[device_id] = self._clock() - (0.0 if here else AWAY_SECONDS)

    async def next(self, device_id: str, seconds: float) -> dict[str, Any] | None:
        """One poll: the device's oldest open job as a message, or None after `seconds`."""
        with self.subscribe(device_id) as feed:
            return await feed.message(seconds)

    def hand_out(self, device_id: str) -> Job | None:
        """The device's oldest open job, one attempt further; one that keeps crashing it fails instead."""
        job = self._oldest(device_id)
        while job is not None and job.fruitless >= MAX_FRUITLESS_ATTEMPTS:
            self.fail(job, f"it was started {job.attempt} times and the device never came to its end.")
            job = self._oldest(device_id)
        if job is not None:
            job.state = "active"
            job.attempt += 1
            job.fruitless += 1
            job.frames = job.video = None
        return job

    def find(self, device_id: str, job_id: str) -> Job:
        """The device's job, open or over; ApiError 404 for another device's job as for none."""
        job = self._jobs.get(job_id)
        if job is None or job.device_id != device_id:
            raise ApiError(404, "not_found", "This device has no such job.")
        return job

    def active(self, device_id: str, job_id: str) -> Job:
        """The device's job if it was handed out and is not over; else ApiError 404 or 410."""
        job = self.find(device_id, job_id)
        if job.state != "active":
            raise ApiError(410, "job_over", "This job is finished, failed, cancelled or not handed out.")
        return job

    def offer(self, device_id: str, bundle_id: str) -> BundleOffer:
        """A bundle of one of the device's open jobs; else ApiError 404."""
        for job in self._jobs.values():
            if job.device_id == device_id and job.open and job.offer.bundle_id == bundle_id:
                return job.offer
        raise ApiError(404, "not_found", "No such bundle is offered to this device.")

    def blob(self, device_id: str, sha256: str) -> Blob:
        """A file of a bundle of one of the device's open jobs; else ApiError 404."""
        for job in self._jobs.values():
            if job.device_id == device_id and job.open and sha256 in job.offer.blobs:
                return job.offer.blobs[sha256]
        raise ApiError(404, "not_found", "No such file is offered to this device.")

    def finish(self, job: Job, report: dict[str, Any]) -> None:
        """Accept the result; of a run, both parts must have come."""
        parts = {} if job.kind == "install" else {"frames": job.frames, "video": job.video}
        missing = [name for name, part in parts.items() if part is None]
        if missing:
            raise ApiError(409, "incomplete", f"The job's {' and '.join(missing)} did not come yet.")
        job.report = report
        self._end(job, "done")

    def fail(self, job: Job, message: str) -> None:
        """End the job with one sentence for the desk's user."""
        job.error = message
        self._end(job, "failed")

    def cancel(self, job: Job) -> None:
        """Withdraw the job; the device learns it from the answer to its next event."""
        if job.open:
            self._end(job, "cancelled")

    def drop_device(self, device_id: str, reason: str) -> None:
        """Fail the device's jobs and end its feed."""
        for job in list(self._jobs.values()):
            if job.device_id == device_id:
                if job.open:
                    self.fail(job, reason)
                del self._jobs[job.job_id]
        self._heard.pop(device_id, None)
        feed = self._feeds.pop(device_id, None)
        if feed is not None:
            feed.end("revoked")

    def close(self, reason: str) -> None:
        """Fail every open job and end every feed; the board takes no further one."""
        self._closed = True
        for job in list(self._jobs.values()):
            if job.open:
                self.fail(job, reason)
        for feed in self._feeds.values():
            feed.end("stopping")

    def heard(self, device_id: str) -> None:
        """Note that the device spoke just now."""
        self._heard[device_id] = self._clock()

    def moved(self, device_id: str) -> None:
        """Note that bytes of a bundle went to the device just now."""
        self.heard(device_id)
        job = self._oldest(device_id)
        if job is not None:
            job.fruitless = 0

    def silence(self, device_id: str) -> float:
        """Seconds since the device spoke; 0 while it has a feed open, infinite if it never did."""
        if device_id in self._feeds:
            return 0.0
        heard = self._heard.get(device_id)
        return float("inf") if heard is None else self._clock() - heard

    def _oldest(self, device_id: str) -> Job | None:
        return next((job for job in self._jobs.values() if job.device_id == device_id and job.open), None)

    def _signal(self, device_id: str) -> None:
        feed = self._feeds.get(device_id)
        if feed is not None:
            feed.signal()

    def _end(self, job: Job, state: str) -> None:
        job.state = state
        if state != "done":
            job.frames = job.video = None
        job.over.set()
        self._signal(job.device_id)

    def _forget_old(self) -> None:
        finished = [key for key, job in self._jobs.items() if not job.open]
        for key in finished[: max(0, len(finished) - KEEP_FINISHED)]:
            del self._jobs[key]
        while len(self.known) > KEEP_FINISHED:
            del self.known[next(iter(self.known))]
