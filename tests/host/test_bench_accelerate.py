"""`make bench-accelerate` runs in the real host: one prompt, four steps, tiny sequences of real widths."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "bench_accelerate.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, str(BENCH), "--smoke", "--results", str(folder)]
    done = subprocess.run(
        [*command, "--picture", str(folder / "picture.png")], capture_output=True, text=True, timeout=900
    )
    # 1 says that a bar is missed, which tiny runs always do.
    assert done.returncode in (0, 1), done.stderr[-4000:]
    assert (folder / "picture.png").is_file()
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}


def test_every_way_of_sampling_is_measured(results: dict[str, Any]) -> None:
    rows = {row["way"]: row for row in results["accelerate"]["rows"] if row["grid"] == "On-device Sora's"}
    assert len(rows) == 10
    assert rows["base"]["evaluations"] == 4
    assert rows["base"]["PSNR dB"] is None
    assert rows["Leap, fixed"]["evaluations"] == 3
    for name in ("Leap, fixed", "Merge pairs, first half", "Merge similar, whole run"):
        assert rows[name]["PSNR dB"] < 60, f"{name} must change the video"
    assert all(row["s whole"] > row["s sampling"] > 0 for row in rows.values())


def test_attention_of_the_large_models_is_timed_inside(results: dict[str, Any]) -> None:
    rows = results["accelerate-attention"]["rows"]
    assert {row["model"] for row in rows} == {"Wan 2.1 1.3B", "LTX-Video 2B"}
    assert {row["part"] for row in rows} == {"self-attention", "cross-attention", "block", "forward"}
    for model in ("Wan 2.1 1.3B", "LTX-Video 2B"):
        seconds = {row["part"]: row["s off"] for row in rows if row["model"] == model}
        assert 0 <= seconds["self-attention"] <= seconds["block"] <= seconds["forward"]
    assert len(results["accelerate-attention"]["bars"]) == 4
