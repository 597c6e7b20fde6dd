"""Where a stage's weights come from.

The seam for streaming: a budgeted or prefetching source has these two calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ...bundle import Bundle, open_tensors


class WeightSource(Protocol):
    """Gives each stage its weights, in the order in which stages run."""

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        """The tensors of a weight file, valid until `release`."""

    def release(self, path: str) -> None:
        """The stage has run; its weights may go."""


class MappedWeights:
    """Weights as views over memory maps, kept for the component's life; the page cache holds them."""

    def __init__(self, bundle: Bundle) -> None:
        """Files are mapped when first taken."""
        self._bundle = bundle
        self._mapped: dict[str, Mapping[str, np.ndarray]] = {}

    def take(self, path: str) -> Mapping[str, np.ndarray]:
        """Map the file once. Raises WeightsError for a file that is not well formed."""
        if path not in self._mapped:
            self._mapped[path] = open_tensors(self._bundle.path(path))
        return self._mapped[path]

    def release(self, path: str) -> None:
        """Nothing to do: pages that memory pressure wants are dropped by the system."""
