"""STDiT3 leaves the desk in pieces that compute what the whole computes, and never exists as a whole."""

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import self_test
from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component as DeviceComponent
from comfyui_pocketvideo.pocketvideo.export import ExportError, random_bundle, random_weights
from comfyui_pocketvideo.pocketvideo.export.adapters import adapt
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS, Preset, stdit3
from comfyui_pocketvideo.pocketvideo.export.stages import size_of, split_axis
from comfyui_pocketvideo.pocketvideo.models import STDiT3, STDiT3Config
from torch import nn

from unit.export.adapters.exporting import chain, randomise

SMALL = STDiT3Config(width=24, depth=2, heads=2, caption_channels=10, caption_tokens=5)


def device_inputs(batch, frames, height, width, length=9):
    generator = torch.Generator().manual_seed(7)
    mask = torch.ones(batch, length)
    mask[-1, 4:] = 0
    return {
        "latent": torch.randn(batch, 4, frames, height, width, generator=generator),
        "timestep": 1000 * torch.rand(batch, frames, generator=generator),
        "context": torch.randn(batch, length, 10, generator=generator),
        "context_mask": mask,
        "fps": torch.full((batch,), 24.0),
    }


def test_a_small_stdit3_runs_on_the_device_at_any_size(tmp_path, monkeypatch):
    preset = Preset(lambda seed: stdit3(SMALL, seed), 4, 8, 9, SMALL.to_dict())
    monkeypatch.setitem(random_weights.RANDOM_PRESETS, "small", preset)
    bundle = random_bundle.export_random("small", tmp_path / "bundle", cache_dir=tmp_path / "cache", seed=3)
    bundle.verify()
    assert self_test(bundle, threads=2)["denoiser"].psnr > 90
    spec = bundle.manifest["components"]["denoiser"]
    assert sorted(spec["graphs"]) == ["epilogue", "prologue", "spatial", "temporal"]
    assert [stage["graph"] for stage in spec["stages"]] == [
        "prologue", "spatial", "temporal", "spatial", "temporal", "epilogue"
    ]  # fmt: skip
    device = DeviceComponent(bundle, "denoiser")
    part = stdit3(SMALL, 3)
    for size in ((1, 1, 2, 2), (1, 5, 7, 3), (2, 4, 9, 6)):
        values = device_inputs(*size)
        found = device.run({name: value.numpy() for name, value in values.items()})["velocity"]
        with torch.no_grad():
            expected = part.reference(**values).numpy()
        assert found.shape == values["latent"].shape
        assert psnr(found, expected) > 90, size
    assert np.isfinite(found).all()


def test_stages_compute_the_network_and_the_velocity_points_from_video_to_noise():
    network = randomise(STDiT3(SMALL), 0.3)
    values = device_inputs(2, 3, 5, 4)
    part = adapt(network, "denoiser")
    with torch.no_grad():
        whole = network(**values)
        found = chain(part, **values)
    assert whole.shape[1] == 8
    torch.testing.assert_close(found, -whole[:, :4], rtol=1e-4, atol=1e-4)


def test_the_published_size_is_the_presets_size_and_exists_one_block_at_a_time():
    part = RANDOM_PRESETS["stdit3_xl2"].component(0)
    assert [stage.graph for stage in part.stages][1:-1] == ["spatial", "temporal"] * 28
    assert RANDOM_PRESETS["stdit3_xl2"].grid(17, 256, 448) == (5, 32, 56)
    block = part.stages[2].build()
    assert sum(parameter.numel() for parameter in block.parameters()) == 21_255_696
    assert not any(parameter.is_meta for parameter in block.parameters())


def test_an_axis_of_patches_rounds_up():
    assert split_axis("height/2") == (1, "height", 2)
    assert split_axis("32*width") == (32, "width", 1)
    assert [size_of("height/2", {"height": height}) for height in (1, 2, 5, 6)] == [1, 1, 3, 3]
    assert size_of("32*width", {"width": 3}) == 96


def test_a_network_without_an_adapter_is_refused_by_name():
    with pytest.raises(ExportError, match=r"Linear has no adapter for a denoiser; .*STDiT3"):
        adapt(nn.Linear(1, 1), "denoiser")
