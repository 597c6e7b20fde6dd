"""What pages are told: whole lists, when something changed, and not more often than they can use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from comfyui_pocketvideo.nodes.host.news import News

JSON = dict[str, Any]


class Pages:
    """What was broadcast, and a way to wait for it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, JSON]] = []
        self._more = threading.Condition()

    def __call__(self, event: str, detail: JSON) -> None:
        with self._more:
            self.heard.append((event, detail))
            self._more.notify_all()

    def wait(self, until: Callable[[list[tuple[str, JSON]]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: until(self.heard), 30), self.heard


def test_changes_are_gathered_and_the_last_state_is_always_told() -> None:
    pages, count = Pages(), [0]
    news = News(pages, {"sends": lambda: {"count": count[0]}})
    for number in range(200):
        count[0] = number
        news.changed("sends")
    pages.wait(lambda heard: bool(heard) and heard[-1] == ("sends", {"count": 199}))
    assert len(pages.heard) < 20


def test_a_watched_list_is_told_when_it_differs_and_not_for_a_time_alone() -> None:
    pages, devices = Pages(), [{"name": "Shelf", "last_seen": 0.0}]
    looked = threading.Semaphore(0)

    def produce() -> JSON:
        looked.release()
        devices[0] = {**devices[0], "last_seen": time.monotonic()}
        return {"devices": [dict(devices[0])]}

    news = News(pages, {"devices": produce})
    news.watch("devices", lambda: True)
    for _ in range(3):
        assert looked.acquire(timeout=30)
    assert len(pages.heard) == 1
    devices[0] = {**devices[0], "name": "Window"}
    pages.wait(lambda heard: heard[-1][1]["devices"][0]["name"] == "Window")


def test_a_list_that_cannot_be_made_does_not_end_the_news() -> None:
    pages, fails = Pages(), [True]

    def produce() -> JSON:
        if fails.pop() if fails else False:
            raise RuntimeError("the state file is damaged")
        return {"fine": True}

    news = News(pages, {"results": produce})
    news.changed("results")
    while fails:
        time.sleep(0.01)
    news.changed("results")
    pages.wait(lambda heard: heard == [("results", {"fine": True})])
