"""LTX-Video's and Wan's transformers leave the desk in stages, from single files, with LoRAs baked in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export import ExportError
from comfyui_pocketvideo.pocketvideo.export.adapters import adapt
from comfyui_pocketvideo.pocketvideo.export.adapters.opening import open_part
from comfyui_pocketvideo.pocketvideo.export.adapters.transformers import ltxv_name, wan_name
from comfyui_pocketvideo.pocketvideo.export.checkpoints import PartFile, denoiser_family, read_header
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS
from comfyui_pocketvideo.pocketvideo.export.stages import Component, size_of
from diffusers import LTXVideoTransformer3DModel, WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from unit.export.adapters.exporting import chain, export, randomise

LTXV = {
    "in_channels": 6,
    "out_channels": 6,
    "num_attention_heads": 2,
    "attention_head_dim": 10,
    "cross_attention_dim": 20,
    "num_layers": 2,
    "caption_channels": 14,
}
WAN = {
    "num_attention_heads": 2,
    "attention_head_dim": 14,
    "in_channels": 5,
    "out_channels": 5,
    "text_dim": 14,
    "freq_dim": 16,
    "ffn_dim": 40,
    "num_layers": 2,
}


def ltxv() -> nn.Module:
    return randomise(LTXVideoTransformer3DModel(**LTXV), 0.3)


def wan(**more: int) -> nn.Module:
    return randomise(WanTransformer3DModel(**WAN | more), 0.3)


def write(path: Path, network: nn.Module, rename: Callable[[str], str], config: dict[str, object]) -> Path:
    """A checkpoint as it is published: other names, half precision, sizes in the metadata."""
    state = {
        "model.diffusion_model." + rename(name): value.to(torch.float16).contiguous()
        for name, value in network.named_parameters()
    }
    save_file(state, path, metadata={"config": json.dumps({"transformer": config})})
    return path


@pytest.fixture
def ltxv_file(tmp_path: Path) -> Path:
    return write(tmp_path / "ltxv.safetensors", ltxv(), ltxv_name, {"num_attention_heads": 2})


def values_of(channels: int, frames: int, height: int, width: int, text: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    mask = torch.ones(2, 7)
    mask[1, 4:] = 0
    return {
        "latent": torch.randn(2, channels, frames, height, width, generator=generator),
        "timestep": torch.rand(2, frames, generator=generator),
        "context": torch.randn(2, 7, text, generator=generator),
        "context_mask": mask,
        "fps": torch.full((2,), 24.0),
    }


@dataclass
class Exported:
    part: Component
    parity: dict[str, float]
    folder: Path


@pytest.fixture(scope="module", params=[ltxv, lambda: wan(in_channels=9)], ids=["ltxv", "wan_given"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    part, folder = adapt(request.param(), "denoiser"), tmp_path_factory.mktemp("transformer")
    return Exported(part, export(part, folder), folder)


def test_a_transformer_passes_the_gate_with_one_graph_for_all_blocks(exported: Exported) -> None:
    assert min(exported.parity.values()) > 90
    graphs = sorted(path.stem for path in exported.folder.glob("*.onnx"))
    assert graphs == ["block", "epilogue", "prologue"]
    assert [name for name in exported.parity if name.startswith("block")] == ["block_00", "block_01"]


def test_the_exported_block_takes_sizes_that_it_was_not_exported_with(exported: Exported) -> None:
    part, tmp_path = exported.part, exported.folder
    session = onnxruntime.InferenceSession(tmp_path / "block.onnx")
    stage = part.stages[1]
    generator = torch.Generator().manual_seed(1)
    for frames, height, width in ((1, 1, 1), (5, 3, 7)):
        sizes = {"frames": frames, "height": height, "width": width, "batch": 1, "length": 3}
        given = {
            name: torch.randn(
                [size_of(axis, sizes) for axis in part.axes[name].names],
                generator=generator,
            )
            for name in stage.inputs
        }
        module = stage.build()
        with safe_open(tmp_path / "denoiser" / "block_00.safetensors", "np") as weights:
            feed = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
        feed |= {name: value.numpy() for name, value in given.items()}
        (found,) = session.run(None, feed)
        torch.testing.assert_close(
            torch.from_numpy(found), module(*(given[name] for name in stage.inputs)), rtol=1e-4, atol=1e-4
        )


def test_a_file_becomes_the_network_piece_by_piece(ltxv_file: Path) -> None:
    family, prefix = denoiser_family(read_header(ltxv_file)) or (None, "")
    assert family is not None
    assert (family.name, prefix) == ("ltxv", "model.diffusion_model.")
    part = open_part(PartFile("ltxv", "denoiser", ltxv_file)).component
    values = values_of(6, 2, 3, 5, 14)
    with torch.no_grad():
        found, whole = chain(part, **values), part.reference(**values)
        expected = adapt(ltxv().half().float(), "denoiser").reference(**values)
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_wan_reads_its_names_and_eight_bit_weights_with_their_scale(tmp_path: Path) -> None:
    network = wan()
    key = "blocks.1.ffn.0.weight"
    path = write(tmp_path / "wan.safetensors", network, wan_name, {"num_heads": 2})
    with safe_open(path, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = "model.diffusion_model." + key
    state[name] = (network.blocks[1].ffn.net[0].proj.weight * 4).to(torch.float8_e4m3fn)
    state[name.replace("weight", "scale_weight")] = torch.tensor(0.25)
    save_file(state, path, metadata={"config": json.dumps({"transformer": {"num_heads": 2}})})
    part = open_part(PartFile("wan", "denoiser", path)).component
    weight = part.stages[2].build().block.ffn.net[0].proj.weight
    torch.testing.assert_close(weight, network.blocks[1].ffn.net[0].proj.weight.t(), rtol=0.07, atol=0.01)


def lora(path: Path, form: str, up: str, down: str, **more: Tensor) -> Path:
    generator = torch.Generator().manual_seed(8)
    save_file(
        {
            f"{form}{up}": torch.randn(20, 3, generator=generator),
            f"{form}{down}": torch.randn(3, 20, generator=generator),
            **{f"{form}.{name}": value for name, value in more.items()},
        },
        path,
    )
    return path


@pytest.mark.parametrize(
    ("form", "up", "down"),
    [
        ("diffusion_model.transformer_blocks.1.attn1.to_q", ".lora_B.weight", ".lora_A.weight"),
        ("transformer_blocks.1.attn1.to_q", ".lora_up.weight", ".lora_down.weight"),
        ("lora_unet_transformer_blocks_1_attn1_to_q", ".lora.up.weight", ".lora.down.weight"),
    ],
)
def test_loras_are_baked_in_one_after_the_other(
    ltxv_file: Path, tmp_path: Path, form: str, up: str, down: str
) -> None:
    path = lora(tmp_path / "lora.safetensors", form, up, down, alpha=torch.tensor(6.0))
    plain = open_part(PartFile("ltxv", "denoiser", ltxv_file)).component
    both = open_part(PartFile("ltxv", "denoiser", ltxv_file, ((path, 0.5), (path, -0.2)))).component
    with safe_open(path, "pt") as file:
        product = file.get_tensor(form + up) @ file.get_tensor(form + down)
    before, after = (part.stages[2].build().block.attn1 for part in (plain, both))
    torch.testing.assert_close(after.to_q.weight, before.to_q.weight + 0.3 * 2.0 * product.t())
    torch.testing.assert_close(after.to_k.weight, before.to_k.weight)


def test_what_is_not_exported_is_named(ltxv_file: Path, tmp_path: Path) -> None:
    form = "diffusion_model.transformer_blocks.1.attn1.to_q"
    dora = lora(
        tmp_path / "dora.safetensors", form, ".lora_B.weight", ".lora_A.weight", dora_scale=torch.ones(20, 1)
    )
    with pytest.raises(ExportError, match=r"dora.safetensors' changes .*dora_scale"):
        open_part(PartFile("ltxv", "denoiser", ltxv_file, ((dora, 1.0),)))
    other = lora(tmp_path / "other.safetensors", "diffusion_model.x", ".lora_B.weight", ".lora_A.weight")
    with pytest.raises(ExportError, match="changes nothing"):
        open_part(PartFile("ltxv", "denoiser", ltxv_file, ((other, 1.0),)))
    split = write(
        tmp_path / "split.safetensors", ltxv(), ltxv_name, {"num_attention_heads": 2, "rope_type": "split"}
    )
    with pytest.raises(ExportError, match="rope_type split"):
        open_part(PartFile("ltxv", "denoiser", split))
    with pytest.raises(ExportError, match=r"holds no head\.modulation"):
        open_part(PartFile("wan", "denoiser", ltxv_file))
    with pytest.raises(ExportError, match="has no adapter"):
        open_part(PartFile("ltxv", "vocoder", ltxv_file))
    network = ltxv()
    network.extra = nn.Linear(2, 2)
    more = write(tmp_path / "more.safetensors", network, ltxv_name, {"num_attention_heads": 2})
    with pytest.raises(ExportError, match=r"holds extra\.bias, which this exporter does not know"):
        open_part(PartFile("ltxv", "denoiser", more))


@pytest.mark.parametrize(
    ("name", "blocks", "parameters"), [("ltxv_2b", 28, 67_155_968), ("wan_1_3b", 30, 46_440_704)]
)
def test_the_published_sizes_are_presets_that_exist_one_block_at_a_time(
    name: str, blocks: int, parameters: int
) -> None:
    part = RANDOM_PRESETS[name].component(0)
    assert [stage.graph for stage in part.stages].count("block") == blocks
    block = part.stages[1].build()
    assert sum(parameter.numel() for parameter in block.parameters()) == parameters
    assert not any(parameter.is_meta for parameter in block.parameters())
