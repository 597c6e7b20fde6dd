"""Open-Sora's network in Core ML: its patches, its two kinds of blocks, its rotary times."""

from __future__ import annotations

from pathlib import Path

from comfyui_pocketvideo.pocketvideo.export.coreml.writer import Part, export_coreml
from comfyui_pocketvideo.pocketvideo.export.random_weights import stdit3
from comfyui_pocketvideo.pocketvideo.models import STDiT3Config

from unit.export.coreml.mil import MilPackage, predict
from unit.export.coreml.packages import gated, options

SMALL = STDiT3Config(width=24, depth=1, heads=2, caption_channels=10, caption_tokens=5)


def test_a_small_stdit3_passes_the_gate_where_patches_do_not_divide_the_latent(tmp_path: Path) -> None:
    part = Part(stdit3(SMALL, 3), 9, {}, {})
    index = export_coreml(
        [part], tmp_path / "out", options("3x5x7"), cache_dir=tmp_path / "cache", predict=predict
    )
    found = index["components"]["denoiser"]
    names = [Path(stage["package"]).stem for stage in found["stages"]]
    assert names == ["prologue", "spatial_00", "temporal_00", "epilogue"]
    assert all(stage["parity_db"] > 60 for stage in found["stages"]), found
    assert found["parity_db"] > 60
    for name in ("spatial_00", "temporal_00"):
        package = MilPackage(tmp_path / "out" / "denoiser" / f"{name}.mlpackage")
        assert package.operations.count("scaled_dot_product_attention") == 2, "its own and the caption's"


def test_a_range_of_sizes_holds_for_patches_too(tmp_path: Path) -> None:
    component = stdit3(SMALL, 3)
    figures = gated(
        component, tmp_path, options("1x2x4..5x7x9"), "prologue", "temporal_00", "epilogue", length=9
    )
    assert len(figures) == 3 and min(figures.values()) > 60
