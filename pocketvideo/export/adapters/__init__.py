"""Architecture adapters: how a network splits into prologue, blocks and epilogue, and what travels between.

An adapter is a function from a network to a `Component`. To add an architecture, write one in a file here and
name its class in `ADAPTERS`; everything else (graphs, weights, parity, streaming) follows from the component.
"""

from .registry import ADAPTERS, adapt, supported_classes

__all__ = ["ADAPTERS", "adapt", "supported_classes"]
