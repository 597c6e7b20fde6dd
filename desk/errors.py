"""What can go wrong at the desk, for the person in front of it."""

from __future__ import annotations


class DeskError(RuntimeError):
    """The desk cannot do what its user asked; one sentence to show as it is."""


class SendCancelled(Exception):
    """The user took the work back."""


def missing(error: ImportError) -> DeskError:
    """What to do where a package that only exporting and sending need is not there."""
    return DeskError(
        f"Sending to a device needs the Python package {error.name or 'cryptography'}: run "
        '`pip install "pocketvideo[export,bridge]"` in this Python environment and start again.'
    )
