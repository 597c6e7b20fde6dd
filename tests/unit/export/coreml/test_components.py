"""Other components, precisions and kinds of sizes, on the tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.coreml import CoreMLOptions, Sizes
from comfyui_pocketvideo.pocketvideo.export.coreml.sources import model_parts
from comfyui_pocketvideo.pocketvideo.export.coreml.writer import export_coreml
from comfyui_pocketvideo.pocketvideo.export.networks import component
from comfyui_pocketvideo.pocketvideo.models import PocketModel

from unit.export.conftest import tiny_model
from unit.export.coreml.mil import MilPackage, predict
from unit.export.coreml.packages import gated, options


@pytest.fixture(scope="module")
def model() -> PocketModel:
    return tiny_model()


def test_text_encoder_and_vae_pass_the_gate_in_half_precision(model: PocketModel, tmp_path: Path) -> None:
    names = ["text_encoder", "vae_encoder", "vae_decoder"]
    index = export_coreml(
        model_parts(model, names), tmp_path / "out", options(), cache_dir=tmp_path / "cache", predict=predict
    )
    for name in names:
        assert index["components"][name]["parity_db"] > 55, name
    assert index["components"]["text_encoder"]["max_tokens"] == 32
    assert (tmp_path / "out" / index["components"]["text_encoder"]["tokenizer"]).is_file()
    assert index["components"]["text_encoder"]["activations"]["input_ids"]["dtype"] == "int32"
    decoder = MilPackage(tmp_path / "out" / "vae_decoder" / "decoder.mlpackage")
    assert decoder.metadata["pocketvideo.computeUnits"] == "cpuAndGPU"


def test_float32_is_exact_to_rounding(model: PocketModel, tmp_path: Path) -> None:
    """coremltools takes every GELU for the exact one and adds 0.0001 to divisors: both would show here."""
    part = component(model, "denoiser")
    figures = gated(part, tmp_path, options(precision=["float32"]), "prologue", "block_00")
    assert min(figures.values()) > 115
    prologue = MilPackage(tmp_path / "prologue.mlpackage")
    assert prologue.operations.count("gelu") == 1
    assert "inverse" not in prologue.operations


def test_a_range_of_sizes_runs_from_its_start_on(model: PocketModel, tmp_path: Path) -> None:
    part = component(model, "denoiser")
    chosen = options("1x2x3..4x7x6")
    # The gate runs 1 x 2 x 3 and 3 x 5 x 5.
    figures = gated(part, tmp_path, chosen, "prologue", "block_00", "block_02")
    assert len(figures) == 3 and min(figures.values()) > 60
    package = MilPackage(tmp_path / "block_00.mlpackage")
    described = {feature.name: feature.type.multiArrayType for feature in package.spec.description.input}
    ranges = described["tokens"].shapeRange.sizeRanges
    assert [(each.lowerBound, each.upperBound) for each in ranges] == [
        (1, 1),
        (1, 4),
        (2, 7),
        (3, 6),
        (24, 24),
    ]


def test_two_clips_at_once_in_listed_sizes_and_no_other(model: PocketModel, tmp_path: Path) -> None:
    part = component(model, "denoiser")
    chosen = CoreMLOptions(Sizes.parse("2x3x4,2x4x3", batch=2))
    figures = gated(part, tmp_path, chosen, "prologue", "block_00")
    assert min(figures.values()) > 60
    package = MilPackage(tmp_path / "prologue.mlpackage")
    given = {
        "latent": torch.zeros(2, 4, 2, 4, 4).numpy(),
        "timestep": torch.zeros(2, 2).numpy(),
        "motion": torch.zeros(2).numpy(),
        "context": torch.zeros(2, 7, 32).numpy(),
        "context_mask": torch.ones(2, 7).numpy(),
    }
    with pytest.raises(ValueError, match="latent does not take"):
        package.run(given)


def test_the_vae_takes_a_range_too(model: PocketModel, tmp_path: Path) -> None:
    figures = gated(component(model, "vae_decoder"), tmp_path, options("1x2x2..3x4x3"), "decoder")
    assert figures["decoder"] > 55
