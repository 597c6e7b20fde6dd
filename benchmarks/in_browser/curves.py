"""The memory of a tab over the videos that it made, and what of it is growth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Curve:
    """Bytes of the tab after so many videos."""

    way: str
    # Videos that are not counted.
    warm: int
    points: dict[int, int]

    @property
    def growth(self) -> float:
        """Over all videos that count, as a part of what was there before them.

        By the straight line through all looks: a single look differs by some percent from the next one.
        """
        made = [one for one in self.points if one >= self.warm]
        slope, start = np.polyfit(made, [self.points[one] for one in made], 1)
        return float(slope * (made[-1] - made[0]) / (start + slope * made[0]))

    def rows(self) -> list[dict[str, Any]]:
        """For a table."""
        return [
            {
                "videos": self.way,
                "made": made,
                "tab's MB": f"{taken / 1e6:.0f}",
                "counts": _yes(made >= self.warm),
            }
            for made, taken in self.points.items()
        ]


def _yes(true: bool) -> str:
    return "yes" if true else "no, warm-up"
