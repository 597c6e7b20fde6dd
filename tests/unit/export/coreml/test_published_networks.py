"""The transformers of LTX-Video and Wan, through the adapters that the bundle takes them through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo.export.adapters import adapt
from torch import nn

from unit.export.adapters.test_transformers import ltxv, wan
from unit.export.coreml.packages import gated, options


@pytest.mark.parametrize("network", [ltxv, wan])
def test_a_transformer_passes_the_gate_in_half_precision(
    network: Callable[[], nn.Module], tmp_path: Path
) -> None:
    part = adapt(network(), "denoiser")
    figures = gated(part, tmp_path, options("2x4x6"), "prologue", "block_00")
    assert len(figures) == 2 and min(figures.values()) > 60
