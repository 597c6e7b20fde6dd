"""Fetching a bundle into the device's store: several files at once, resumed, checked by SHA-256 (T12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from ..bundle import Bundle, BundleError, DigestError, File, PartFile, Store, parse
from .desk import Desk
from .errors import AgentError, DeskUnreachable

PARALLEL_FILES = 3
CHUNK = 256 * 1024

Report = Callable[[str, float | None, str], None]


async def fetch_bundle(desk: Desk, store: Store, bundle_id: str, report: Report) -> Bundle:
    """The bundle `bundle_id`, installed and verified; only files that the store lacks are sent.

    A file that turns out damaged on this device is named, thrown away and fetched once more; one that arrives
    damaged ends the job. `report(stage, fraction, message)` hears of progress.
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
    queue = list(reversed(missing))

    async def work() -> None:
        while queue:
            await _fetch_file(desk, store, queue.pop(), progress)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(PARALLEL_FILES, len(missing))):
                group.create_task(work())
    except BaseExceptionGroup as group_error:
        raise _most_telling(group_error) from None


async def _fetch_file(desk: Desk, store: Store, entry: File, progress: _Progress) -> None:
    while True:
        # Opening hashes what an earlier try left, which takes a while for a large file.
        part = await asyncio.to_thread(store.receive, entry)
        try:
            await _receive(desk, part, entry, progress)
            return
        except DigestError:
            # A power cut can spoil what an earlier try wrote; only an all new file proves the desk's bad.
            if part.offset == 0:
                raise
            progress.add(-part.offset, entry["path"])
        finally:
            part.close()


async def _receive(desk: Desk, part: PartFile, entry: File, progress: _Progress) -> None:
    if part.offset < entry["bytes"]:
        async with desk.blob(entry["sha256"], part.offset) as (start, stream):
            if start != part.offset:
                raise AgentError(
                    "The desk does not resume transfers, which its protocol asks of it; update it."
                )
            try:
                async for chunk in stream.iter_chunked(CHUNK):
                    await asyncio.to_thread(part.write, chunk)
                    progress.add(len(chunk), entry["path"])
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise DeskUnreachable(f"The transfer of {entry['path']} broke off ({error}).") from error
    await asyncio.to_thread(part.commit)


class _Progress:
    """Sums bytes over all files; tells at most every percent."""

    def __init__(self, done: int, total: int, report: Report) -> None:
        self._done, self._total, self._report = done, max(total, 1), report
        self._told = -1

    def add(self, count: int, path: str) -> None:
        self._done += count
        percent = 100 * self._done // self._total
        if percent != self._told:
            self._told = percent
            message = f"{path} ({self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB)"
            self._report("download", min(1.0, self._done / self._total), message)


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of the errors of parallel transfers the one to show: a bad file before a broken connection."""
    errors = list(group.exceptions)
    for kind in (BundleError, AgentError):
        for error in errors:
            if isinstance(error, kind) and not isinstance(error, DeskUnreachable):
                return error
    return errors[0]
