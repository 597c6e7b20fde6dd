"""What can go wrong on the device, each as one sentence for the person who reads its terminal."""

from __future__ import annotations


class AgentError(Exception):
    """The agent cannot do what was asked; the text is one sentence to show as it is."""


class DeskUnreachable(AgentError):
    """The desk does not answer just now; trying again later may help."""


class DeskRefused(AgentError):
    """The desk answered with an error of docs/protocol.md."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class JobCancelled(AgentError):
    """The desk withdrew the job."""
