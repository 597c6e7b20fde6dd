"""How much memory this process has taken at its peak."""

from __future__ import annotations

import sys


def peak_rss_bytes() -> int | None:
    """Highest resident set size of the process so far, or None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
