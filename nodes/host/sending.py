"""Send to Device as one call: a send of the manager, followed with progress and interrupt."""

from __future__ import annotations

import time
from typing import Any

from ...desk.errors import DeskError
from ...desk.pipeline import WAITING
from ...desk.request import SendRequest
from ...desk.self_tests import psnr_words
from ...desk.send import CANCELLED, DONE, FAILED, Send
from .desk import host_desk
from .progress import NodeProgress

LOOK_SECONDS = 0.1
# A device that is on comes within this; one that is away must not hold the queue of ComfyUI.
PATIENCE_SECONDS = 30.0


def send_and_follow(request: SendRequest, node_id: str) -> str:
    """Send the request's workflow to its device and say in a line what came of it.

    If the device is away, the send goes on waiting without this call.

    Raises:
        DeskError: it failed, or was cancelled in the sidebar; in one sentence.
        InterruptProcessingException: the user pressed stop, and the send was cancelled.
    """
    progress = NodeProgress(node_id)
    sends = host_desk().sends
    send = sends.submit(request)
    waiting_since: float | None = None
    shown = 0
    try:
        while True:
            told = send.public()
            # Where everything is at hand, several stages pass between two looks.
            for fraction, words in send.milestones[shown:]:
                progress.update(fraction, words)
                shown += 1
            if told["state"] == DONE:
                text = _done(send, told)
                progress.update(1.0, text)
                return text
            if told["state"] in (FAILED, CANCELLED):
                raise DeskError(told["error"] or f"{told['name']} was cancelled in the sidebar PocketVideo.")
            progress.update(told["fraction"], _words(told))
            if told["state"] != WAITING:
                waiting_since = None
            elif waiting_since is None:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > PATIENCE_SECONDS:
                return f"{told['name']} waits for {told['device_name']} and goes on when it is there"
            time.sleep(LOOK_SECONDS)
    except BaseException:
        # Whatever ends the node early, the stop button above all: the device must not go on for nobody.
        sends.cancel(send.send_id)
        raise


def _words(told: dict[str, Any]) -> str:
    return told["message"] or str(told["state"])


def _done(send: Send, told: dict[str, Any]) -> str:
    tested = psnr_words(send.self_test)
    sent = f"{told['total_bytes'] / 1e6:.1f} MB sent"
    return f"{told['name']} is on {told['device_name']}, tested there{tested}; {sent}"
