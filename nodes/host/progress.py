"""A node's progress bar and its line of text, with the user's interrupt."""

from __future__ import annotations

import comfy.model_management
import comfy.utils

STEPS = 1000


class NodeProgress:
    """Progress of one node in named stages that share the bar.

    Every call raises ComfyUI's InterruptProcessingException once the user has pressed stop.
    """

    def __init__(self, node_id: str | None, stages: dict[str, float] | None = None):
        """`stages` maps a stage's name to its share of the bar, in order."""
        self._node_id = node_id
        self._bar = comfy.utils.ProgressBar(STEPS, node_id=node_id)
        total = sum((stages or {"": 1.0}).values())
        self._spans: dict[str, tuple[float, float]] = {}
        begin = 0.0
        for name, share in (stages or {"": 1.0}).items():
            self._spans[name] = (begin, share / total)
            begin += share / total
        self._value = 0
        self._text = ""

    def update(self, fraction: float | None, text: str = "", stage: str = "") -> None:
        """Move the bar to a fraction (0 to 1) of a stage, never back; None leaves it. Show the text."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        if fraction is not None:
            begin, share = self._spans[stage]
            value = round(STEPS * (begin + share * min(1.0, max(0.0, fraction))))
            if value > self._value:
                self._value = value
                self._bar.update_absolute(value, STEPS)
        if text and text != self._text:
            self._text = text
            show_text(self._node_id, text)


def show_text(node_id: str | None, text: str) -> None:
    """Show a line of text in a node, to the client whose prompt is running; nowhere without one."""
    from server import PromptServer

    # Code that uses ComfyUI as a library has no server.
    server = getattr(PromptServer, "instance", None)
    if node_id is not None and server is not None and server.client_id is not None:
        server.send_progress_text(text, node_id, server.client_id)
