"""What can go wrong at the bridge, for the two sides that hear of it.

`BridgeError` is for the person at the desk: one sentence naming the thing, the cause and the next action.
`ApiError` is for a device: an HTTP status, a code from docs/protocol.md and one sentence.
"""

from __future__ import annotations


class BridgeError(Exception):
    """The bridge could not do what the desk's user asked; the text is one sentence to show as it is."""


class PushCancelled(BridgeError):
    """The caller of `Bridge.push` asked to stop, and the job was withdrawn from the device."""


class ApiError(Exception):
    """A request is refused: answered as `{"error": {"code", "message"}}` with `status` (docs/protocol.md)."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
