"""The few-step templates as they ship: they run in ComfyUI, and a device makes the same videos."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.editor import to_prompt

from host.client import ComfyClient
from host.pocket import psnr
from host.server import REPOSITORY

MODELS = REPOSITORY / "models" / "pocketvideo"
WORKFLOWS = sorted((REPOSITORY / "workflows").glob("few-step*.json"))
# By the workflow: the networks that a device gets, and how often they are evaluated.
EVALUATIONS = {"few-step": 4, "few-step-animate-a-photo": 4, "few-step-high-low": 14}


def frames(data: bytes) -> np.ndarray:
    """Every frame of a video file."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_all_templates_are_here() -> None:
    assert {path.stem for path in WORKFLOWS} == set(EVALUATIONS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_template_makes_the_same_video_on_desk_and_device(
    client: ComfyClient, tmp_path: Path, path: Path
) -> None:
    prompt = to_prompt(json.loads(path.read_text(encoding="utf-8")))
    run = client.run(prompt, timeout=600).require_success()
    (saved,) = [file for file in run.files if file.filename.endswith(".mp4")]
    ours = frames(client.view(saved))

    plan = compile_workflow(prompt, None, FolderLookups(MODELS / "none", MODELS, beside=True))
    bundle = export_bundle(plan, MODELS / plan.model_name, tmp_path / "bundle", cache_dir=tmp_path / "cache")
    made = run_bundle(bundle, {}, output_dir=tmp_path, threads=2)
    assert made.evaluations == EVALUATIONS[path.stem]
    assert ours.std() > 5, "a constant video would prove nothing"
    # Both were compressed by the same encoder.
    assert psnr(ours, frames(made.video_path.read_bytes())) >= 40
