"""The documents' benchmark tables are made from the results, never typed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "tables.py"


def test_the_committed_tables_are_those_of_the_committed_results() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_figure_in_a_sentence_is_that_of_one_row(tmp_path: Path) -> None:
    tables = tool()
    tables.ROOT = tmp_path
    results = tmp_path / "docs" / "benchmarks" / "speed.json"
    results.parent.mkdir(parents=True)
    rows = [{"way": "a b", "grid": "x", "ratio": 1.234}, {"way": "a b", "grid": "y", "ratio": 2.0}]
    results.write_text(json.dumps({"rows": rows}))
    mark = "<!-- figure: speed / way=a b / grid=x / ratio / .1f -->"
    assert tables.rewrite(f"It is {mark}9<!-- end --> times.") == f"It is {mark}1.2<!-- end --> times."
    with pytest.raises(ValueError, match="chooses 2 rows"):
        tables.figure("speed / way=a b / ratio / .1f")


def test_a_table_shows_rows_bars_and_the_machine() -> None:
    text = tool().render(
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


def test_a_students_training_cost_stands_below_its_table() -> None:
    training = {"steps": 3000, "seconds": 5400, "threads": 2, "device": "cpu (x86_64)", "torch": "2.13.0"}
    machine = {"cores": 2, "processor": "a processor", "python": "3.11"}
    result = {"rows": [], "bars": [], "machine": machine, "date": "2026-01-01", "training": training}
    text = tool().render(result)
    assert "Trained in 3,000 steps, 1.5 hours with 2 threads on cpu (x86_64), torch 2.13.0." in text
    training |= {"processes": 2, "threads": 1}
    assert "1.5 hours with 2 processes of 1 thread each on cpu" in tool().render(result)
    del result["training"]
    assert "Trained" not in tool().render(result)
