"""What every bench shares: a table, one line per bar, and the JSON from which the docs' tables are made."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "benchmarks"


@dataclass(frozen=True)
class Bar:
    """A promise with a number: `figure` against `goal`, both as a person would write them."""

    name: str
    figure: str
    goal: str
    met: bool


def finish(
    name: str, rows: list[dict[str, Any]], bars: list[Bar], *, results: Path = RESULTS, **extra: Any
) -> int:
    """Print the table and the bars, write RESULTS/NAME.json, and return the exit status."""
    print_table(rows)
    print()
    for number, bar in enumerate(bars, 1):
        print(f"bar {number}: {bar.name}: {bar.figure}, goal {bar.goal}, {'met' if bar.met else 'missed'}")
    results.mkdir(parents=True, exist_ok=True)
    result = {
        "benchmark": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "rows": rows,
        "bars": [asdict(bar) for bar in bars],
        **extra,
    }
    (results / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(bar.met for bar in bars) else 1


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rows with the same keys as an aligned table."""
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def machine() -> dict[str, Any]:
    """The machine in words that name nobody: processor kind, cores, Python."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
