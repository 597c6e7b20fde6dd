"""The documents' benchmark tables are made from the results, never typed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "tables.py"


def test_the_committed_tables_are_those_of_the_committed_results() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_table_shows_rows_bars_and_the_machine() -> None:
    spec = importlib.util.spec_from_file_location("tables", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.render(
        {
            "date": "2026-01-02",
            "machine": {"cores": 2, "processor": "Some Chip", "python": "3.11.1"},
            "rows": [{"clips": "a", "colour": 0.5}],
            "bars": [{"name": "colour", "figure": "50%", "goal": "90%", "met": False}],
        }
    )
    assert "| a | 0.500 |" in text
    assert "| colour | 50% | 90% | missed |" in text
    assert "2026-01-02 on 2 cores of Some Chip" in text
