"""The other forms as Core ML packages: convolutions if channels come first, no batched heads if tiled."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo.export.layout import Form
from comfyui_pocketvideo.pocketvideo.export.layout_stages import shaped
from comfyui_pocketvideo.pocketvideo.export.networks import component

from unit.export.conftest import tiny_model
from unit.export.coreml.mil import MilPackage
from unit.export.coreml.packages import gated, options


@pytest.mark.parametrize(
    "form", [Form("channels", "tiled"), Form("tokens", "einsum"), Form("channels", "einsum")], ids=str
)
def test_a_form_passes_the_gate_in_half_precision(form: Form, tmp_path: Path) -> None:
    part = shaped(component(tiny_model(), "denoiser"), form)
    figures = gated(part, tmp_path, options(), "prologue", "block_00", "block_01", "block_02", "epilogue")
    assert min(figures.values()) > 55
    softmax = MilPackage(tmp_path / "block_02.mlpackage").operations
    if form.layout == "channels":
        # qkv, proj, q, proj of the text, two of the feed-forward, and the depthwise one.
        assert softmax.count("conv") == 7
    if form.heads == "tiled":
        assert softmax.count("softmax") == 4, "two heads of two attentions"
