"""STDiT3 has the published size, names and structure, and its parts do what they are named for."""

import math
import re

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.models import (
    STDIT3_XL2,
    ModelFileError,
    STDiT3,
    STDiT3Config,
    load_stdit3,
)
from comfyui_pocketvideo.pocketvideo.models.stdit3 import rotate_pairs, sincos_2d
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

SMALL = STDiT3Config(width=24, depth=2, heads=2, caption_channels=10, caption_tokens=5)
BLOCK = {
    "scale_shift_table",
    *(f"attn.{name}" for name in ("qkv.weight", "qkv.bias", "q_norm.weight", "k_norm.weight")),
    *(f"attn.proj.{name}" for name in ("weight", "bias")),
    *(
        f"cross_attn.{layer}.{name}"
        for layer in ("q_linear", "kv_linear", "proj")
        for name in ("weight", "bias")
    ),
    *(f"mlp.{layer}.{name}" for layer in ("fc1", "fc2") for name in ("weight", "bias")),
}
OUTSIDE = {
    "rope.freqs",
    "y_embedder.y_embedding",
    "final_layer.scale_shift_table",
    *(
        f"{layer}.{name}"
        for layer in (
            "x_embedder.proj",
            "t_embedder.mlp.0",
            "t_embedder.mlp.2",
            "fps_embedder.mlp.0",
            "fps_embedder.mlp.2",
            "t_block.1",
            "y_embedder.y_proj.fc1",
            "y_embedder.y_proj.fc2",
            "final_layer.linear",
        )
        for name in ("weight", "bias")
    ),
}


def network(config: STDiT3Config = SMALL, scale: float = 0.3) -> STDiT3:
    generator = torch.Generator().manual_seed(1)
    made = STDiT3(config).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if name != "rope.freqs":
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return made


def inputs(batch=2, frames=3, height=5, width=4, length=6):
    generator = torch.Generator().manual_seed(2)
    mask = torch.ones(batch, length)
    mask[:, length // 2 :] = 0
    return {
        "latent": torch.randn(batch, 4, frames, height, width, generator=generator),
        "timestep": 1000 * torch.rand(batch, frames, generator=generator),
        "context": torch.randn(batch, length, 10, generator=generator),
        "context_mask": mask,
        "fps": torch.full((batch,), 24.0),
    }


def test_xl2_has_the_published_parameters_under_the_published_names():
    with torch.device("meta"):
        made = STDiT3(STDIT3_XL2)
    assert sum(parameter.numel() for parameter in made.parameters()) == 1_207_643_972
    assert sum(parameter.numel() for parameter in made.spatial_blocks[0].parameters()) == 21_255_696
    kinds = {name for name in made.state_dict() if "_blocks." not in name}
    assert kinds == OUTSIDE
    blocks = {
        f"{kind}_blocks.{index}.{name}"
        for kind in ("spatial", "temporal")
        for index in range(28)
        for name in BLOCK
    }
    assert set(made.state_dict()) - kinds == blocks
    assert made.x_embedder.proj.weight.shape == (1152, 4, 1, 2, 2)
    assert made.final_layer.linear.weight.shape == (2 * 2 * 8, 1152)
    assert made.rope.freqs.shape == (36,)


def test_a_state_dict_loads_strictly_and_only_from_safetensors(tmp_path):
    source = network()
    path = tmp_path / "model.safetensors"
    save_file({name: value.half() for name, value in source.state_dict().items()}, path)
    loaded = load_stdit3(path, SMALL)
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())
    torch.testing.assert_close(loaded(**inputs()), source(**inputs()), rtol=2e-2, atol=2e-2)
    short = source.state_dict()
    del short["rope.freqs"]
    save_file(short, path)
    with pytest.raises(ModelFileError, match=r"rope\.freqs"):
        load_stdit3(path, SMALL)
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        load_stdit3(tmp_path / "model.pth", SMALL)
    (tmp_path / "broken.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0notjson!")
    with pytest.raises(ModelFileError, match=r"broken\.safetensors"):
        load_stdit3(tmp_path / "broken.safetensors", SMALL)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))
def test_every_size_keeps_its_size(frames, height, width):
    made = network()
    values = inputs(1, frames, height, width)
    out = made(**values)
    assert out.shape == (1, 8, frames, height, width)
    assert out.isfinite().all()


def test_an_odd_clip_equals_the_same_clip_padded_with_zeros_where_positions_agree():
    made = network()
    odd = inputs(1, 2, 5, 5)["latent"]
    padded = torch.nn.functional.pad(odd, (0, 1, 0, 1))
    assert torch.equal(made.x_embedder(odd), made.x_embedder(padded))
    even = inputs(1, 2, 6, 6)["latent"]
    # No row of zeros joins a clip that patches divide.
    first = torch.nn.functional.conv3d(
        even, made.x_embedder.proj.weight, made.x_embedder.proj.bias, stride=(1, 2, 2)
    )
    torch.testing.assert_close(made.x_embedder(even), first.permute(0, 2, 3, 4, 1))


@pytest.mark.parametrize("temporal", [True, False])
def test_a_temporal_block_mixes_only_time_and_a_spatial_one_only_space(temporal):
    made = network()
    block = (made.temporal_blocks if temporal else made.spatial_blocks)[0]
    start = made.prologue(**inputs(1, 3, 6, 6))
    positions = (start.cos, start.sin) if temporal else ()
    rest = (start.modulation, start.context, start.context_bias, *positions)
    before = block(start.tokens, *rest)
    changed = start.tokens.clone()
    changed[:, 1, 2, 0] += 1
    difference = (block(changed, *rest) - before).abs().amax(dim=(0, -1)) > 1e-6
    expected = torch.zeros(3, 3, 3, dtype=torch.bool)
    if temporal:
        expected[:, 2, 0] = True
    else:
        expected[1] = True
    assert torch.equal(difference, expected)


def test_time_order_matters_to_temporal_blocks_and_shifting_all_positions_does_not():
    attention = network().temporal_blocks[0].attn
    x = torch.randn(2, 4, 24)
    cos, sin = network().rope(7)
    here = attention(x, cos[:4], sin[:4])
    assert not torch.allclose(here, attention(x.flip(1), cos[:4], sin[:4]).flip(1), atol=1e-4)
    torch.testing.assert_close(here, attention(x, cos[3:], sin[3:]), rtol=1e-4, atol=1e-4)
    pairs = torch.randn(3, 8)
    assert torch.equal(rotate_pairs(rotate_pairs(pairs)), -pairs)


def test_padding_of_the_caption_is_not_read_and_words_are():
    made = network()
    values = inputs()
    before = made(**values)
    values["context"][:, 3:] = 9
    torch.testing.assert_close(made(**values), before, rtol=1e-5, atol=1e-5)
    short = values | {"context": values["context"][:, :3], "context_mask": None}
    torch.testing.assert_close(made(**short), before, rtol=1e-4, atol=1e-4)
    values["context"][:, 0] += 1
    assert not torch.allclose(made(**values), before, atol=1e-3)


def test_time_and_frames_per_second_reach_the_output_per_frame():
    made = network()
    values = inputs(1)
    before = made.prologue(**values).modulation
    later = values | {"timestep": values["timestep"] + torch.tensor([[0.0, 50.0, 0.0]])}
    changed = (made.prologue(**later).modulation - before).abs().amax(dim=(0, 2, 3, 4)) > 1e-6
    assert changed.tolist() == [False, True, False]
    slower = made.prologue(**(values | {"fps": torch.tensor([8.0])})).modulation
    assert ((slower - before).abs().amax(dim=(0, 2, 3, 4)) > 1e-6).all()
    one_time = values | {"timestep": values["timestep"][:, 0]}
    all_times = values | {"timestep": values["timestep"][:, :1].expand(-1, 3)}
    torch.testing.assert_close(made(**one_time), made(**all_times))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10), (5, 7)])
def test_positions_follow_the_formula(height, width):
    latent = torch.zeros(1, 4, 1, height, width)
    patches = network().x_embedder(latent)
    rows, columns = math.ceil(height / 2), math.ceil(width / 2)
    scale = math.sqrt(height * 8 * width * 8) / 512
    base = round(math.sqrt(rows * columns))
    table = sincos_2d(patches, latent, SMALL)
    assert table.shape == (rows, columns, 24)
    for row in range(rows):
        for column in range(columns):
            expected = []
            for place, count in ((column, columns), (row, rows)):
                at = place / scale * base / count
                angles = [at / 10000 ** (2 * i / 12) for i in range(6)]
                expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            torch.testing.assert_close(table[row, column], torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_a_width_without_pairs_is_refused():
    with pytest.raises(ValueError, match=re.escape("multiple of 4 and of 2 * heads")):
        STDiT3Config(width=20, heads=4)
