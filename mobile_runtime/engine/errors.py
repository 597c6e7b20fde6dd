"""What a run raises. Every message is one sentence that names the thing, the cause and the next action."""

from __future__ import annotations


class EngineError(RuntimeError):
    """A run that cannot go on."""


class InputError(EngineError):
    """A value for a bundle's input that is of the wrong type or out of bounds."""


class Cancelled(EngineError):
    """The caller asked the run to stop."""


class SelfTestError(EngineError):
    """A component that does not give the recorded outputs on this device."""
