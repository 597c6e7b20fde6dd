"""Fetching a bundle into the device's store: several files at once, resumed, checked by SHA-256 (T12)."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from ..bundle import Bundle, BundleError, DigestError, File, PartFile, Store, parse
from .desk import Desk
from .errors import AgentError, DeskUnreachable
from .lane import Lane

PARALLEL_FILES = 3

Report = Callable[[str, float | None, str], None]


async def fetch_bundle(desk: Desk, store: Store, bundle_id: str, report: Report) -> Bundle:
    """The bundle `bundle_id`, installed and verified; only files that the store lacks are sent.

    A file that turns out damaged on this device is named, thrown away and fetched once more; one that arrives
    damaged ends the job. `report(stage, fraction, message)` hears of progress, from any thread.
    Raises BundleError (with the file's name), AgentError, or DeskUnreachable, after which a new call resumes.
    """
    data = await desk.manifest(bundle_id)
    manifest = parse(data)
    for last in (False, True):
        missing = store.missing(manifest)
        if missing:
            store.check_room(manifest)
            await _fetch(desk, store, missing, sum(entry["bytes"] for entry in manifest["files"]), report)
        report("verify", None, "checking every file's SHA-256")
        try:
            return await asyncio.to_thread(store.install, data, bundle_id)
        except DigestError as error:
            if last:
                raise
            report("verify", None, f"{error.path} was damaged on this device and is fetched again")
    raise AssertionError("unreachable")


async def _fetch(desk: Desk, store: Store, missing: list[File], total: int, report: Report) -> None:
    have = total - sum(entry["bytes"] - store.resume_offset(entry) for entry in missing)
    progress = _Progress(have, total, report)
    # The largest first, so that none of them is left to one connection at the end.
    queue = deque(sorted(missing, key=lambda entry: -entry["bytes"]))
    lanes = [desk.lane() for _ in range(min(PARALLEL_FILES, len(missing)))]
    tasks = [asyncio.create_task(asyncio.to_thread(_work, lane, store, queue, progress)) for lane in lanes]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        # What breaks after the first error is broken by `stop` below, and tells nothing.
        errors = [error for task in done if (error := task.exception()) is not None]
    finally:
        queue.clear()
        for lane in lanes:
            lane.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
    if errors:
        raise _most_telling(errors)


def _work(lane: Lane, store: Store, queue: deque[File], progress: _Progress) -> None:
    """Fetch files from the queue until it is empty; runs in a thread of its own."""
    try:
        while True:
            try:
                entry = queue.popleft()
            except IndexError:
                return
            _fetch_file(lane, store, entry, progress)
    finally:
        lane.close()


def _fetch_file(lane: Lane, store: Store, entry: File, progress: _Progress) -> None:
    while True:
        with store.receive(entry) as part:

            def write(chunk: memoryview, part: PartFile = part) -> None:
                part.write(chunk)
                progress.add(len(chunk), entry["path"])

            try:
                if part.offset < entry["bytes"]:
                    lane.get(f"/v1/blobs/{entry['sha256']}", part.offset, entry["bytes"], write)
                part.commit()
                return
            except DigestError:
                # A power cut can spoil what an earlier try wrote; only an all new file proves the desk's bad.
                if part.offset == 0:
                    raise
                progress.add(-part.offset, entry["path"])


class _Progress:
    """Sums bytes over all files, from all threads; tells at most every percent."""

    def __init__(self, done: int, total: int, report: Report) -> None:
        self._done, self._total, self._report = done, max(total, 1), report
        self._told = -1
        self._lock = threading.Lock()

    def add(self, count: int, path: str) -> None:
        with self._lock:
            self._done += count
            percent = 100 * self._done // self._total
            if percent != self._told:
                self._told = percent
                message = f"{path} ({self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB)"
                self._report("download", min(1.0, self._done / self._total), message)


def _most_telling(errors: list[BaseException]) -> BaseException:
    """Of the errors of parallel transfers the one to show: a bad file before a broken connection."""
    for kind in (BundleError, AgentError):
        for error in errors:
            if isinstance(error, kind) and not isinstance(error, DeskUnreachable):
                return error
    return errors[0]
