"""Write the benchmark tables of the documents anew from docs/benchmarks/*.json. `make tables`.

A document holds `<!-- benchmark: NAME -->` and `<!-- end -->`; what stands between them is made here, so that
no figure is typed by hand. A figure in a sentence stands between `<!-- end -->` and
`<!-- figure: NAME / column=value / COLUMN / FORMAT -->`: columns choose one row, and FORMAT is Python's.
With `--check` nothing is written and a stale document is an error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"(<!-- benchmark: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- figure: (?P<where>[^>]*) -->).*?(<!-- end -->)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    stale = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        fresh = rewrite(text)
        if fresh != text:
            stale.append(path)
            if not arguments.check:
                path.write_text(fresh, encoding="utf-8")
    if stale and arguments.check:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"The benchmark tables of {names} are older than docs/benchmarks: run 'make tables'.")
        return 1
    return 0


def rewrite(text: str) -> str:
    """The document with every marked table and figure made from its results."""
    text = MARK.sub(lambda match: match[1] + render(_results(match["name"])) + match[3], text)
    return FIGURE.sub(lambda match: match[1] + figure(match["where"]) + match[3], text)


def _results(name: str) -> dict[str, Any]:
    path = ROOT / "docs" / "benchmarks" / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def figure(where: str) -> str:
    """One number of one row: `NAME / column=value / ... / COLUMN / FORMAT`.

    Raises:
        ValueError: the columns do not choose exactly one row.
    """
    name, *conditions, column, form = where.split(" / ")
    wanted = dict(condition.split("=", 1) for condition in conditions)
    rows = [
        row
        for row in _results(name)["rows"]
        if all(str(row.get(key)) == value for key, value in wanted.items())
    ]
    if len(rows) != 1:
        raise ValueError(f"'{where}' chooses {len(rows)} rows of {name}.json; name columns of exactly one.")
    return format(rows[0][column], form)


def render(result: dict[str, Any]) -> str:
    """Rows, bars and the machine of one benchmark as Markdown."""
    lines = []
    if result["rows"]:
        names = list(result["rows"][0])
        lines += [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        lines += [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in result["rows"]]
        lines.append("")
    lines += ["| bar | measured | goal | |", "|---|---|---|---|"]
    for bar in result["bars"]:
        lines.append(
            f"| {bar['name']} | {bar['figure']} | {bar['goal']} | {'met' if bar['met'] else 'missed'} |"
        )
    if "training" in result:
        lines += ["", _cost(result["training"])]
    machine = result["machine"]
    where = f"{machine['cores']} cores of {machine['processor']}, Python {machine['python']}"
    lines += ["", f"Measured {result['date']} on {where}.", ""]
    return "\n".join(lines)


def _cost(training: dict[str, Any]) -> str:
    """What a student's card says of its training."""
    processes, threads = training.get("processes", 1), training["threads"]
    by = f"{threads} threads" if threads > 1 else "1 thread"
    if processes > 1:
        by = f"{processes} processes of {by} each"
    return (
        f"Trained in {training['steps']:,} steps, {training['seconds'] / 3600:.1f} hours with "
        f"{by} on {training['device']}, torch {training['torch']}."
    )


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
