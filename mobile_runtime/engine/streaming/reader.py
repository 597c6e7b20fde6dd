"""Brings a file into the system's page cache, in the calling thread or in one of its own.

The page cache is no memory of the process, so the reader needs none but a small buffer. Reading, and not only
asking the system to read ahead, tells a broken or shortened file as an error; a map would end the process.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ...bundle import WeightsError
from .choice import Load

CHUNK = 2**20


class Stopped(Exception):
    """The reader was closed before the file was read."""


def read(path: Path, size: int, stop: threading.Event | None = None) -> Load:
    """Read a file of `size` bytes through and tell what that took.

    Raises OSError, WeightsError when the file is shorter, and Stopped within a chunk of `stop`.
    """
    started, busy, stored = time.perf_counter(), time.thread_time(), _stored_bytes()
    buffer = bytearray(CHUNK)
    done = 0
    with path.open("rb", buffering=0) as file:
        _announce(file.fileno())
        while done < size:
            if stop is not None and stop.is_set():
                raise Stopped
            got = file.readinto(buffer)
            if not got:
                raise WeightsError(
                    f"{path.name} has {done} bytes and should have {size}; fetch the bundle again."
                )
            done += got
    after = _stored_bytes()
    return Load(
        time.perf_counter() - started,
        time.thread_time() - busy,
        None if stored is None or after is None else after - stored,
    )


class Reader:
    """A thread that reads one file ahead; it starts with the first file and ends with `close`."""

    def __init__(self) -> None:
        """No thread yet."""
        self._pool: ThreadPoolExecutor | None = None
        self._stop = threading.Event()
        self._ahead: tuple[Path, Future[Load]] | None = None

    def start(self, path: Path, size: int) -> None:
        """Begin to read a file; nothing is done when it is being read already."""
        if self._ahead is not None and self._ahead[0] == path:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "pocketvideo-reader")
        self._ahead = (path, self._pool.submit(read, path, size, self._stop))

    def finish(self, path: Path) -> Load | None:
        """Wait for a file that was begun; None for one that was not. Raises what reading it raised."""
        if self._ahead is None or self._ahead[0] != path:
            return None
        future, self._ahead = self._ahead[1], None
        return future.result()

    def close(self) -> None:
        """End the thread, within one chunk of what it reads."""
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool, self._ahead, self._stop = None, None, threading.Event()


def stored_bytes_of_process() -> int | None:
    """Bytes that storage has given this process so far, or None where the system does not count them."""
    return _count("RUSAGE_SELF")


def _stored_bytes() -> int | None:
    return _count("RUSAGE_THREAD")


def _count(whose: str) -> int | None:
    try:
        import resource
    except ImportError:
        return None
    if not hasattr(resource, whose):
        return None
    return int(resource.getrusage(getattr(resource, whose)).ru_inblock) * 512


def _announce(descriptor: int) -> None:
    """Say that a file is read from front to end, so that the system asks storage for more than one chunk.

    Asking for what comes next chunk by chunk (WILLNEED) took twice the time of this, and of the processor.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
