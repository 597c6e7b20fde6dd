"""An export that is killed in the middle goes on from what it had finished."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from comfyui_pocketvideo.pocketvideo.export import graphs
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.cache import UNFINISHED

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE

SECONDS = 240


def workflow():
    prompt = prompts.text_to_video()
    prompt["4"]["inputs"] |= {"width": SIDE, "height": SIDE, "length": LENGTH}
    return prompt


def finished(cache: Path) -> dict[Path, tuple[int, int]]:
    """What may not be made again: inode and time of every graph, and of every finished component's entry."""
    found = [*cache.glob("graphs/*.onnx"), *entries(cache)]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def entries(cache: Path) -> list[Path]:
    """The finished components' entries: an unfinished one's folder may be renamed at any moment."""
    found = cache.glob("components/*/entry.json")
    return [path for path in found if not path.parent.name.startswith(UNFINISHED)]


def test_a_killed_export_redoes_nothing_that_was_finished(exported, tmp_path, monkeypatch):
    (tmp_path / "workflow.json").write_text(json.dumps(workflow()), encoding="utf-8")
    cache, out = tmp_path / "cache", tmp_path / "bundle"
    command = [sys.executable, "-m", "comfyui_pocketvideo.pocketvideo.export"]
    command += ["--workflow", str(tmp_path / "workflow.json"), "--model", str(exported.desk.model_path)]
    command += ["--out", str(out), "--cache", str(cache)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        # In the middle of the second component, which has a graph of its own by then.
        deadline = time.monotonic() + SECONDS
        while not ((parts := entries(cache)) and len(list(cache.glob("graphs/*.onnx"))) > graphs_of(parts)):
            assert process.poll() is None, "the export ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists()
    before = finished(cache)
    made = []
    export_stage = graphs.export_stage

    def watched(stage, axes, where, *more, **named):
        made.append(where)
        return export_stage(stage, axes, where, *more, **named)

    monkeypatch.setattr("comfyui_pocketvideo.pocketvideo.export.components.export_stage", watched)
    plan = exported.compiled(workflow())
    bundle = export_bundle(plan, exported.desk.model_path, out, cache_dir=cache)
    bundle.verify()
    after = finished(cache)
    # An entry that is used again gets a new time, but stays the file that it was; so does a graph.
    assert {path: after[path][0] for path in before} == {path: inode for path, (inode, _) in before.items()}
    assert all(after[path] == value for path, value in before.items() if path.suffix == ".onnx")
    assert not any(where.startswith("text_encoder/") for where in made), "that component was finished"
    assert len(made) == len(after) - len(before) - (components(after) - components(before))
    again = export_bundle(plan, exported.desk.model_path, tmp_path / "whole", cache_dir=exported.cache)
    assert bundle.id == again.id


def graphs_of(parts: list[Path]) -> int:
    return sum(len(json.loads(part.read_text())["component"]["graphs"]) for part in parts)


def components(found: dict[Path, tuple[int, int]]) -> int:
    return sum(path.name == "entry.json" for path in found)
