"""`make demo` from start to end on the quickstart made short: own host, own device, the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

import demo.run
from demo.run import RESULTS, Settings
from host.server import REPOSITORY
from host.workflow import load_workflow

STEPS = 2
FRAMES = 5


def short_quickstart(path: Path) -> Path:
    """The shipped quickstart with fewer steps and frames."""
    workflow = load_workflow(REPOSITORY / "workflows" / "quickstart.json")
    for node in workflow["nodes"]:
        values: list[Any] = node.get("widgets_values") or []
        if node["type"] == "KSampler":
            values[2] = STEPS
        elif node["type"] == "PocketVideoEmptyLatent":
            values[2] = FRAMES
    path.write_text(json.dumps(workflow), encoding="utf-8")
    return path


def frame_count(video: Path) -> int:
    with av.open(video) as container:
        return sum(1 for _ in container.decode(video=0))


def test_the_demo_makes_both_videos_and_says_how_far_they_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.run, "CACHE", tmp_path / "cache")
    output = tmp_path / "output"

    demo.run.run(Settings(short_quickstart(tmp_path / "short.json"), output, seed=3))

    assert sorted(path.name for path in output.iterdir()) == sorted(RESULTS)
    assert frame_count(output / "desktop.mp4") == frame_count(output / "device.mp4") == FRAMES
    with Image.open(output / "side-by-side.png") as sheet:
        assert sheet.width > 600
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert report["psnr_db"]["lowest"] >= 40
    assert len(report["psnr_db"]["frames"]) == FRAMES
    stages = {(row["where"], row["stage"]): row for row in report["stages"]}
    assert stages["desktop", "sample"]["evaluations"] == 2 * STEPS
    assert stages["device", "sample"]["evaluations"] == 2 * STEPS
    assert stages["bridge", "push the bundle"]["bytes"] >= stages["bridge", "compile and export"]["bytes"] > 0
    assert all(row["seconds"] is not None for row in stages.values())
    printed = capsys.readouterr().out
    assert "network evaluations" in printed
    assert "goal 40: met" in printed
