"""A dry run of a published model's file reads its header alone."""

from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.adapters.files import FileWeights
from comfyui_pocketvideo.pocketvideo.export.adapters.opening import open_part
from comfyui_pocketvideo.pocketvideo.export.adapters.pieces import only_shapes
from comfyui_pocketvideo.pocketvideo.export.adapters.transformers import ltxv_name
from comfyui_pocketvideo.pocketvideo.export.checkpoints import PartFile
from comfyui_pocketvideo.pocketvideo.export.dry_run_models import Published
from comfyui_pocketvideo.pocketvideo.export.graphs import stage_weights
from comfyui_pocketvideo.pocketvideo.export.meta_sizes import component_size
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS

from unit.export.adapters.test_transformers import ltxv, write

SIZES = {"batch": 2, "frames": 3, "height": 4, "width": 5, "length": 7}


@pytest.fixture
def part(tmp_path: Path) -> PartFile:
    path = write(tmp_path / "ltxv.safetensors", ltxv(), ltxv_name, {"num_attention_heads": 2})
    return PartFile("ltxv", "denoiser", path)


def test_the_sizes_are_those_of_the_export_and_no_number_is_read(
    part: PartFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = open_part(part).component.stages
    expected = [sum(value.nbytes for value in stage_weights(stage.build()).values()) for stage in stages]

    def reading(*_: object) -> torch.Tensor:
        raise AssertionError("a dry run must not read weights")

    monkeypatch.setattr(FileWeights, "numbers", reading)
    model = Published({"denoiser": part})
    size = model.size("denoiser", SIZES)

    assert [stage.bytes for stage in size.stages] == expected
    assert size.activations > 4 * 2 * 3 * 4 * 5 * 20
    assert model.name == "ltxv"
    assert model.tokens == 128
    assert model.key("denoiser") == Published({"denoiser": part}).key("denoiser")


def test_a_network_of_a_billion_numbers_is_measured_without_them() -> None:
    preset = RANDOM_PRESETS["mobilei2v_270m"]
    with only_shapes():
        size = component_size(preset.component(0), SIZES)

    assert sum(stage.bytes for stage in size.stages) > 4 * 250_000_000
