"""Opened graphs, kept: opening one takes as long as two evaluations of a small network.

A graph holds no weights, so that one session serves every component, bundle and run whose graph has the same
bytes: a second video begins at once, and so does a student after its teacher.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import onnxruntime

from ...bundle import check_graph
from ..errors import EngineError
from .options import SessionOptions

log = logging.getLogger(__name__)

# Graphs of about five bundles; a session takes one to four megabytes.
LIMIT = 32

_Key = tuple[str, SessionOptions]


class Sessions:
    """At most `limit` sessions, the least recently used one dropped first. Any thread may ask."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[_Key, onnxruntime.InferenceSession] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def get(
        self, path: str, data: bytes, options: SessionOptions
    ) -> tuple[onnxruntime.InferenceSession, bool]:
        """The session of a graph's bytes, and True where it had to be loaded; `path` is for messages.

        Raises EngineError where onnxruntime cannot load it, BundleError for a graph that is not allowed.
        """
        key = (hashlib.sha256(data).hexdigest(), options)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key], False
        made = _open(path, data, options)
        with self._lock:
            # Two threads may have loaded the same; one is enough.
            made = self._kept.setdefault(key, made)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        return made, True

    def get_all(
        self, graphs: Mapping[str, bytes], options: SessionOptions
    ) -> dict[str, tuple[onnxruntime.InferenceSession, bool]]:
        """As `get`, of several graphs by path, side by side: one graph loads on one core alone.

        Raises as `get` does, for the first that fails.
        """
        workers = min(len(graphs), options.threads or os.cpu_count() or 1)
        with ThreadPoolExecutor(workers, thread_name_prefix="pocketvideo-opener") as pool:
            opened = pool.map(lambda path: self.get(path, graphs[path], options), graphs)
            return dict(zip(graphs, opened, strict=True))


def _open(path: str, data: bytes, options: SessionOptions) -> onnxruntime.InferenceSession:
    check_graph(data, path)
    try:
        # From bytes, so that a graph has no folder from which it could read other files.
        session = onnxruntime.InferenceSession(data, options.build(), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} cannot load {path} ({first_line(error)}); export the "
            "bundle again."
        ) from error
    log.debug("loaded %s", path)
    return session


def first_line(error: Exception) -> str:
    """What onnxruntime says, short enough for a sentence."""
    return str(error).strip().split("\n")[0][:300]
