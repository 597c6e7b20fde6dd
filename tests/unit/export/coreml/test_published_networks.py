"""The transformers of LTX-Video and Wan, through the adapters that the bundle takes them through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export import ExportError, WorkflowError
from comfyui_pocketvideo.pocketvideo.export.adapters import adapt
from comfyui_pocketvideo.pocketvideo.export.adapters.transformers import ltxv_name
from comfyui_pocketvideo.pocketvideo.export.coreml.sources import file_parts
from safetensors.torch import save_file
from torch import nn

from unit.export.adapters.test_transformers import ltxv, wan, write
from unit.export.coreml.packages import gated, options


@pytest.mark.parametrize("network", [ltxv, wan])
def test_a_transformer_passes_the_gate_in_half_precision(
    network: Callable[[], nn.Module], tmp_path: Path
) -> None:
    part = adapt(network(), "denoiser")
    figures = gated(part, tmp_path, options("2x4x6"), "prologue", "block_00")
    assert len(figures) == 2 and min(figures.values()) > 60


def test_a_published_file_gives_what_it_holds_at_its_prompts_length(tmp_path: Path) -> None:
    path = write(tmp_path / "video.safetensors", ltxv(), ltxv_name, {"num_attention_heads": 2})
    (part,) = file_parts(path)
    assert (part.component.name, part.length) == ("denoiser", 128)
    figures = gated(part.component, tmp_path, options("1x2x2"), "prologue", length=part.length)
    assert figures["prologue"] > 60
    with pytest.raises(ExportError, match=r"video.safetensors' gives no vae_decoder .* gives is denoiser\."):
        file_parts(path, ["vae_decoder"])


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WorkflowError, match=r"other.safetensors is not a PocketVideo model"):
        file_parts(path)
