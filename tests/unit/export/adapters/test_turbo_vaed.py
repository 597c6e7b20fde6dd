"""Turbo-VAED: our decoder computes what its published code does, and takes the place of LTX-Video's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export import ExportError
from comfyui_pocketvideo.pocketvideo.export.adapters.exporting import PartsSource
from comfyui_pocketvideo.pocketvideo.export.adapters.opening import open_part
from comfyui_pocketvideo.pocketvideo.export.adapters.turbo_vaed import Sizes, TurboDecoder, Up, read_sizes
from comfyui_pocketvideo.pocketvideo.export.checkpoints import FAMILIES, PartFile
from comfyui_pocketvideo.pocketvideo.export.plan import Plan
from comfyui_pocketvideo.pocketvideo.export.small_decoders import with_decoder
from safetensors.torch import save_file

from unit.export.adapters.exporting import export
from unit.export.adapters.turbo_reference import fill

GOLDEN = Path(__file__).with_name("turbo_vaed.json")
WIDTH = 16
# The layers of the published decoder for LTX-Video, as narrow as its last two upsamplers allow.
LTXV = Sizes(
    128,
    Up(WIDTH, WIDTH, 1, 1, 1, 5),
    (
        Up(WIDTH, WIDTH, 1, 1, 1, 5),
        Up(WIDTH, WIDTH, 1, 2, 2, None),
        Up(WIDTH, WIDTH, 1, 2, 2, None),
        Up(WIDTH, WIDTH, 1, 2, 2, None),
    ),
    2,
)


def weights(sizes: Sizes) -> dict[str, torch.Tensor]:
    network = TurboDecoder(sizes, torch.zeros(sizes.latent), torch.ones(sizes.latent))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    return {name: fill(name, shape) for name, shape in shapes.items() if name not in ("mean", "std")}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A Turbo-VAED file as its training saves one, and the VAE that it was distilled from."""
    turbo, vae = tmp_path / "turbo.safetensors", tmp_path / "ltxv.safetensors"
    head = {"decoder.aligned_feature_projection_heads.0.0.conv.weight": torch.zeros(1)}
    save_file({f"decoder.{name}": value for name, value in weights(LTXV).items()} | head, turbo)
    statistics = {
        "per_channel_statistics.mean-of-means": torch.linspace(-1, 1, 128),
        "per_channel_statistics.std-of-means": torch.linspace(0.5, 2, 128),
    }
    save_file({f"vae.{FAMILIES[0].vae_marker}": torch.zeros(1), **prefixed(statistics)}, vae)
    return turbo, vae


def prefixed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"vae.{name}": value for name, value in tensors.items()}


def test_the_decoder_computes_what_the_published_code_computes() -> None:
    data: dict[str, Any] = json.loads(GOLDEN.read_text("utf-8"))
    shapes = {name: tuple(shape) for name, shape in data["shapes"].items()}
    sizes = read_sizes(shapes)
    network = TurboDecoder(sizes, torch.zeros(sizes.latent), torch.ones(sizes.latent)).eval()
    assert network.state_dict().keys() - {"mean", "std"} == shapes.keys()
    network.load_state_dict({name: fill(name, shape) for name, shape in shapes.items()}, strict=False)
    latent = torch.randn(data["latent_shape"], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = network(latent)
    expected = torch.tensor(data["frames"]).view(data["frames_shape"])
    assert (sizes.temporal, sizes.spatial) == (2, 16)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_published_file_passes_the_gate(files: tuple[Path, Path], tmp_path: Path) -> None:
    turbo, vae = files
    part = PartFile("turbo_vaed", "vae_decoder", turbo, latents=vae)
    component = open_part(part).component
    assert min(export(component, tmp_path).values()) > 90
    latent = torch.randn(1, 128, 2, 2, 3, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        frames = component.reference(latent=latent)
        mean, std = (torch.linspace(*ends, 128).view(1, -1, 1, 1, 1) for ends in ((-1, 1), (0.5, 2)))
        plain = TurboDecoder(LTXV, torch.zeros(128), torch.ones(128)).eval()
        plain.load_state_dict(weights(LTXV), strict=False)
        torch.testing.assert_close(frames, plain(latent * std + mean))
    assert frames.shape == (1, 3, 9, 64, 96)


def test_it_takes_the_place_of_ltx_videos_decoder_alone(files: tuple[Path, Path], tmp_path: Path) -> None:
    turbo, vae = files
    own = PartFile("ltxv", "vae_decoder", vae)
    plan = Plan("", {}, (), parts={"vae_decoder": own})
    assert with_decoder(plan, None) is plan
    made = with_decoder(plan, turbo)
    assert made.parts["vae_decoder"] == PartFile("turbo_vaed", "vae_decoder", turbo, latents=vae)
    kept = [PartsSource(each.parts).kept_under("vae_decoder") for each in (plan, made)]
    assert kept[0] != kept[1]
    for parts in ({}, {"vae_decoder": replace(own, family="wan")}):
        with pytest.raises(ExportError, match=r"LTX-Video's decoder alone.*leave out turbo\.safetensors"):
            with_decoder(replace(plan, parts=parts), turbo)


def test_a_file_that_is_none_or_for_another_model_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    _, vae = files
    with pytest.raises(ExportError, match="holds no decoder of Turbo-VAED"):
        open_part(PartFile("turbo_vaed", "vae_decoder", vae, latents=vae))
    other = tmp_path / "hunyuan.safetensors"
    save_file(weights(replace(LTXV, latent=16)), other)
    with pytest.raises(ExportError, match=r"of a cell with 16 channels, and the model's cells .* with 128"):
        open_part(PartFile("turbo_vaed", "vae_decoder", other, latents=vae))
    cut = tmp_path / "cut.safetensors"
    save_file({name: value for name, value in weights(LTXV).items() if "mid_block" not in name}, cut)
    with pytest.raises(ExportError, match="a form of Turbo-VAED that is not exported"):
        open_part(PartFile("turbo_vaed", "vae_decoder", cut, latents=vae))
