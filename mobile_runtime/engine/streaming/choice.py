"""What to hold and whether to prefetch: On-device Sora's CI-DL (arXiv 2502.04363, section 6), from times.

The paper saves b min(l, e) - a by loading a block (l) while another runs (e), and d max(0, l - e) more by
holding d of b blocks. Here a block is mapped, so that a load whose pages are in the cache is processor time
that the cores of the running block would lose: only the part of l that waits for storage can be hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# What handing one file to the reader thread and back takes: a fifth of a millisecond on a slow core.
HANDOFF_SECONDS = 2e-4


@dataclass(frozen=True)
class Load:
    """One file's way from the system: seconds in all, seconds of processor time, bytes that storage gave.

    `stored` is None where the system does not count them.
    """

    seconds: float
    busy: float
    stored: int | None

    @property
    def waiting(self) -> float:
        """Seconds spent waiting for storage; a file from the cache waits for nothing but its turn."""
        return 0.0 if self.stored == 0 else max(0.0, self.seconds - self.busy)


def pays(loads: Sequence[Load], runs: Sequence[float]) -> bool:
    """True when a reader thread hides more than it takes, for these loads and the stages' seconds."""
    if not loads or not runs:
        return False
    usual = sum(runs) / len(runs)
    hidden = sum(min(load.waiting, usual) for load in loads)
    return hidden > sum(load.busy + HANDOFF_SECONDS for load in loads)


def hold(sizes: Sequence[int], free: int) -> frozenset[int]:
    """Which files to hold in `free` bytes: as many as fit, spread evenly over the pass.

    Spread, because while a held stage runs the reader gets ahead with the next streamed one.
    """
    chosen: set[int] = set()
    for index in spread(len(sizes)):
        if sizes[index] <= free:
            chosen.add(index)
            free -= sizes[index]
    return frozenset(chosen)


def spread(count: int) -> list[int]:
    """0 to count - 1 in bit-reversed order: every beginning of the list lies evenly over the range."""
    bits = max(1, (count - 1).bit_length())
    order = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits))
    return [index for index in order if index < count]
