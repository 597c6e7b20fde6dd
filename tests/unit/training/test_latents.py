"""Clips are encoded once, also by several processes at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from comfyui_pocketvideo.pocketvideo.training.latents import cache_latents

from unit.training.parent_case import CLIPS, PROCESSES, parent_recipe, write_parent

CASE = Path(__file__).with_name("parent_case.py")


def test_processes_that_encode_the_same_clips_do_not_meet_in_a_file(tmp_path: Path) -> None:
    """All have written their shard before the first one gives it its name, as it may happen."""
    alone, shared, meeting = (tmp_path / name for name in ("alone", "shared", "meeting"))
    meeting.mkdir()
    for folder in (alone, shared):
        write_parent(folder)
    expected = cache_latents(alone / "run", parent_recipe())
    started = [
        subprocess.Popen([sys.executable, str(CASE), str(shared), str(number), str(meeting)])
        for number in range(PROCESSES)
    ]
    try:
        assert [process.wait(timeout=300) for process in started] == [0] * PROCESSES
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [path.name for path in (shared / "run" / "latents").iterdir()] == ["000000.safetensors"]
    found = cache_latents(shared / "run", parent_recipe())
    assert len(found.captions) == CLIPS
    # Stored in half precision, and perhaps computed on another number of threads.
    torch.testing.assert_close(found.latents, expected.latents, atol=2e-3, rtol=2e-3)
