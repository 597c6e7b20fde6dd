"""Components: networks that run as a chain of small graphs whose weights come from memory-mapped files."""

from .component import Component
from .options import SessionOptions
from .report import WeightReport
from .sessions import Sessions

__all__ = ["Component", "SessionOptions", "Sessions", "WeightReport"]
