"""The memory of a tab over the videos that it made, and what of it is growth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Curve:
    """Bytes of the tab after so many videos."""

    way: str
    # Videos that are not counted.
    warm: int
    points: dict[int, int]

    @property
    def growth(self) -> float:
        """From the end of the warm-up to the last video, as a part of what was there before."""
        made = [one for one in self.points if one >= self.warm]
        return self.points[made[-1]] / self.points[made[0]] - 1

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
