"""What this room raises.

Every message is one sentence that names the thing, the cause and the next action.
"""

from __future__ import annotations


class BundleError(ValueError):
    """A bundle, or a file of it, that cannot be used."""


class ManifestError(BundleError):
    """A manifest that is not well formed or does not add up."""


class DigestError(BundleError):
    """A file whose bytes are not the ones the manifest promises; `path` names it."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class GraphError(BundleError):
    """An ONNX graph that a device refuses to load."""


class WeightsError(BundleError):
    """A safetensors file that is not well formed."""


class QuotaError(BundleError):
    """A bundle that does not fit what the store may hold."""
