"""Every block of pocket_shapes, and blocks of mobilei2v_270m, are in Core ML what they are in torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_pocketvideo.pocketvideo.export.coreml.sources import model_parts
from comfyui_pocketvideo.pocketvideo.export.coreml.writer import export_coreml
from comfyui_pocketvideo.pocketvideo.export.networks import component
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS
from comfyui_pocketvideo.pocketvideo.models import PocketModel, load_model

from unit.export.coreml.mil import MilPackage, predict
from unit.export.coreml.packages import gated, options

REPOSITORY = Path(__file__).resolve().parents[4]
MODEL = REPOSITORY / "models" / "pocketvideo" / "pocket_shapes.safetensors"


@pytest.fixture(scope="module")
def shapes() -> PocketModel:
    return load_model(MODEL)


def test_every_stage_of_the_shipped_denoiser_passes_the_gate(shapes: PocketModel, tmp_path: Path) -> None:
    parts = model_parts(shapes, ["denoiser"])
    index = export_coreml(parts, tmp_path / "out", options(), cache_dir=tmp_path / "cache", predict=predict)
    found = index["components"]["denoiser"]
    names = [Path(stage["package"]).stem for stage in found["stages"]]
    assert names == ["prologue", *(f"block_{number:02}" for number in range(8)), "epilogue"]
    # The gate asks for 35 dB. Sound float16 reaches 80, and a lost factor somewhere would cost more than 20.
    assert all(stage["parity_db"] > 70 for stage in found["stages"]), found
    assert found["parity_db"] > 65
    block = MilPackage(tmp_path / "out" / "denoiser" / "block_00.mlpackage")
    assert block.opset == "CoreML8"  # iOS 18
    assert "scaled_dot_product_attention" in block.operations
    weights = sum(value.numel() for value in shapes.denoiser.blocks[0].parameters())
    assert 2 * weights < found["stages"][1]["bytes"] < 2.3 * weights


def test_compressed_weights_pass_their_gate(shapes: PocketModel, tmp_path: Path) -> None:
    part = component(shapes, "denoiser")
    # Compression, its share of the float16 weights, the least dB, and what unpacks it.
    kinds = {
        "block_00": ("int8", 0.6, 60, "constexpr_blockwise_shift_scale"),
        "block_01": ("int4", 0.4, 40, "constexpr_blockwise_shift_scale"),
        "block_07": ("palette4", 0.4, 40, "constexpr_lut_to_dense"),
    }
    chosen = options("2x3x4", *(f"denoiser/{name}={kind}" for name, (kind, *_) in kinds.items()))
    figures = gated(part, tmp_path, chosen, "prologue", *kinds, length=shapes.max_tokens)
    assert figures["prologue"] > 70, "a rule for one block holds for that block alone"
    for name, (_, share, least, operation) in kinds.items():
        assert least < figures[name] < 80, name
        path = tmp_path / f"{name}.mlpackage"
        assert operation in MilPackage(path).operations
        module = next(stage for stage in part.stages if stage.weights == name).build()
        weights = sum(value.numel() for value in module.parameters())
        size = (path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat().st_size
        assert size < share * 2 * weights, name


def test_one_block_of_each_kind_of_mobilei2v_passes_the_gate(tmp_path: Path) -> None:
    preset = RANDOM_PRESETS["mobilei2v_270m"]
    figures = gated(
        preset.component(0),
        tmp_path,
        options("3x8x14"),
        "prologue",
        "block_00",
        "block_07",
        length=preset.length,
    )
    assert set(figures) == {"prologue", "block_00", "block_07"}
    assert min(figures.values()) > 60
