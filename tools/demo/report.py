"""What the demo measured: the rows of its table, and report.json."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One stage; what was not measured is None."""

    where: str
    stage: str
    seconds: float | None = None
    evaluations: int | None = None
    bytes: int | None = None


@dataclass
class Report:
    """All rows, and the facts beside them."""

    rows: list[Row] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, where: str, stage: str, seconds: float | None = None, **measured: int | None) -> None:
        rounded = None if seconds is None else round(seconds, 3)
        self.rows.append(Row(where, stage, rounded, **measured))

    def print(self, console: Console) -> None:
        """Print the table, a rule between the places."""
        table = Table(title=None, header_style="bold", pad_edge=False)
        table.add_column("where")
        table.add_column("stage")
        for name in ("seconds", "network evaluations", "bytes"):
            table.add_column(name, justify="right")
        for number, row in enumerate(self.rows):
            last = number + 1 == len(self.rows) or self.rows[number + 1].where != row.where
            first = number == 0 or self.rows[number - 1].where != row.where
            table.add_row(
                row.where if first else "",
                row.stage,
                "" if row.seconds is None else f"{row.seconds:.2f}",
                "" if row.evaluations is None else f"{row.evaluations}",
                "" if row.bytes is None else f"{row.bytes:,}",
                end_section=last,
            )
        console.print(table)

    def write(self, path: Path) -> None:
        """Write report.json: the rows, the facts, and the machine's kind."""
        machine = {
            "python": platform.python_version(),
            "system": platform.system(),
            "cpu": platform.machine(),
        }
        body = {"stages": [asdict(row) for row in self.rows], **self.facts, "machine": machine}
        path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
