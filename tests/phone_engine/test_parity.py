"""The phone's frames are the desk's: networks of the real classes, run in the browser and by torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.models import load_model, save_model

from browser.conftest import chromium
from phone_engine.page import engine_page
from unit.export import prompts
from unit.export.conftest import Desk, Exported, tiny_model
from unit.export.test_device_equals_torch import SEED, STEPS, torch_frames

# Frames in dB against torch, which ComfyUI runs; WebGPU is the one that works in software.
BARS = {"wasm": 40.0, "webgpu": 35.0}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, np.ndarray]:
    """Text to video with guidance, and torch's frames of it."""
    root = tmp_path_factory.mktemp("parity")
    path = root / "shapes.safetensors"
    save_model(path, tiny_model())
    tiny = Exported(load_model(path), Desk(path, root / "none.png"), root / "cache", None, None)  # type: ignore[arg-type]
    prompt = prompts.text_to_video()
    prompt["5"]["inputs"] |= {"seed": SEED, "steps": STEPS}
    bundle = export_bundle(tiny.compiled(prompt), path, root / "bundle", cache_dir=tiny.cache)
    with torch.no_grad():
        return bundle, torch_frames(tiny.model, "a red circle moves left", "", 4.0, 2.0, 3.0)


@pytest.mark.parametrize("plan", BARS)
def test_the_phone_makes_the_desks_frames(
    built: Path, video: tuple[Bundle, np.ndarray], plan: str, tmp_path: Path
) -> None:
    bundle, truth = video
    with engine_page(built, bundle, chromium(), tmp_path / "profile", gpu=plan == "webgpu") as page:
        page.open(plan)
        for name, report in page.call("selfTest").items():
            assert report["psnr"] >= report["minPsnr"], name
        frames, told = page.run()
    assert frames.shape == truth.shape and np.std(truth) > 5
    assert told["report"]["evaluations"] == 2 * STEPS
    assert psnr(frames, truth) >= BARS[plan]
    agent = run_bundle(bundle, output_dir=tmp_path, threads=1).frames
    assert psnr(frames, agent) >= BARS[plan]
