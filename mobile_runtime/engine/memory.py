"""How much memory this process takes, as the operating system counts it: its resident set.

Pages of a mapped file count while they are mapped; what the page cache holds besides does not.
"""

from __future__ import annotations

import re
import sys

from .errors import InputError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(K|M|G|KI|MI|GI)?B?")


def parse_bytes(text: str) -> int:
    """A size as people write it, `300MB`, `1.5GiB` or `2000000`, in bytes. Raises InputError."""
    match = _SIZE.fullmatch(text.strip().upper())
    if match is None or not (found := int(float(match[1]) * _UNITS[match[2] or ""])):
        raise InputError(f"{text!r} is no size of memory; write it like 300MB or 1.5GB.")
    return found


def megabytes(count: int) -> str:
    """A size for a sentence, rounded up, so that what it says is enough."""
    return f"{-(-count // 10**6)} MB"


def peak_rss_bytes() -> int | None:
    """Highest resident set size of the process so far, or None where the system does not say (Windows)."""
    # Not getrusage where there is a choice: after an exec it still tells of the program before.
    if (found := _status("VmHWM")) is not None:
        return found
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def rss_bytes() -> int | None:
    """Resident set size now; where the system tells only the peak, the peak."""
    found = _status("VmRSS")
    return peak_rss_bytes() if found is None else found


class PeakMeter:
    """The process's peak since a moment of one's choice; what the system is made to forget is kept here."""

    def __init__(self) -> None:
        """Forgets nothing."""
        self._earlier = 0

    def restart(self) -> None:
        """Measure anew from here. Where the system cannot forget a peak, `now` stays too high, never low."""
        self._earlier = max(self._earlier, peak_rss_bytes() or 0)
        _forget_peak()

    def now(self) -> int:
        """The peak since the last `restart`, in bytes; 0 where the system does not say."""
        return peak_rss_bytes() or 0

    def highest(self) -> int | None:
        """The highest of all peaks, or None where the system does not say."""
        return max(self._earlier, self.now()) or None


def _status(field: str) -> int | None:
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(field.encode()):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _forget_peak() -> None:
    try:
        # proc(5): 5 resets the peak to what is resident now.
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(b"5")
    except OSError:
        pass
