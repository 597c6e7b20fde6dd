"""The same stages as Core ML packages for iOS 18; coremltools is imported when something is exported."""

from .options import CoreMLOptions, Sizes, parse_rules

__all__ = ["CoreMLOptions", "Sizes", "parse_rules"]
