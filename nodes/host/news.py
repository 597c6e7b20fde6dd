"""Tells every open page what changed: whole lists, a few times a second at most. Knows no ComfyUI."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
LOOK_SECONDS = 1.0

Produce = Callable[[], dict[str, Any]]


class News:
    """Topics and what is told about each. The thread starts at the first change, never at import."""

    def __init__(self, send: Callable[[str, dict[str, Any]], None], topics: Mapping[str, Produce]) -> None:
        """`send(event, detail)` broadcasts; `topics` maps an event's name to what makes its detail."""
        self._send, self._topics = send, dict(topics)
        self._dirty: set[str] = set()
        self._watched: dict[str, Callable[[], bool]] = {}
        self._last: dict[str, Any] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def changed(self, topic: str) -> None:
        """Something of this topic changed; tell it soon. From any thread."""
        with self._lock:
            self._dirty.add(topic)
            self._ensure_thread()
        self._wake.set()

    def watch(self, topic: str, while_true: Callable[[], bool]) -> None:
        """Look at a topic once a second as long as `while_true`, and tell it when it differs from before."""
        with self._lock:
            self._watched[topic] = while_true
            self._ensure_thread()
        self._wake.set()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pocketvideo-news", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            watching = [topic for topic, while_true in list(self._watched.items()) if while_true()]
            self._wake.wait(LOOK_SECONDS if watching else None)
            self._wake.clear()
            with self._lock:
                dirty, self._dirty = self._dirty, set()
            for topic in sorted({*dirty, *watching}):
                self._tell(topic, always=topic in dirty)
            time.sleep(PAUSE_SECONDS)

    def _tell(self, topic: str, always: bool) -> None:
        try:
            detail = self._topics[topic]()
            looks = _without_times(detail)
            if always or looks != self._last.get(topic):
                self._last[topic] = looks
                self._send(topic, detail)
        except Exception as error:  # a page that hears nothing asks by itself
            logger.warning("PocketVideo could not tell the pages about %s: %s", topic, error)


def _without_times(detail: Any) -> Any:
    """A detail without `last_seen`, which moves with every breath of a connected device."""
    if isinstance(detail, dict):
        return {name: _without_times(value) for name, value in detail.items() if name != "last_seen"}
    return [_without_times(item) for item in detail] if isinstance(detail, list) else detail
