"""What tests of the desk's own routes share: the table of routes, waiting for sends, a small graph."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from demo.device import desk

from .client import ComfyClient
from .graphs import FRAMES, SAVE, node, text_to_video
from .server import REPOSITORY

JSON = dict[str, Any]
TARGET = "60"
OVER = ("done", "failed", "cancelled", "interrupted")
PATIENCE_SECONDS = 300.0


def desk_routes() -> list[tuple[str, str]]:
    """Method and path of every route that the pack puts on ComfyUI's server."""
    source = (REPOSITORY / "nodes" / "host" / "route_actions.py").read_text(encoding="utf-8")
    return re.findall(r'^    \("(GET|POST)", "([^"]+)", ', source, re.MULTILINE)


def sendable(**options: Any) -> JSON:
    """A small graph that ends in Send to Device."""
    graph = {key: value for key, value in text_to_video("", **options).items() if key not in ("7", SAVE)}
    graph[TARGET] = node(
        "PocketVideoSendToDevice", images=[FRAMES, 0], device="the paired device", fps=12.0, name=""
    )
    return graph


def find_send(client: ComfyClient, send_id: str) -> JSON:
    """One send as the page sees it."""
    (send,) = [send for send in desk(client, "GET", "/sends")["sends"] if send["send_id"] == send_id]
    return dict(send)


def wait_for_send(
    client: ComfyClient,
    send_id: str,
    until: Callable[[JSON], bool] = lambda send: send["state"] in OVER,
    seen: list[JSON] | None = None,
) -> JSON:
    """Look at a send until it is as wanted; `seen` collects what was seen on the way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        send = find_send(client, send_id)
        if seen is not None:
            seen.append(send)
        if until(send):
            return send
        time.sleep(0.1)
    raise AssertionError(f"the send stayed {send}")
