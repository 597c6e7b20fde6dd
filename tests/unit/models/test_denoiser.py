"""The video DiT against MobileI2V's description: counts, key names, formulas, who sees what."""

from dataclasses import replace

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.models import MOBILEI2V_270M, Denoiser, DenoiserConfig, initialise
from comfyui_pocketvideo.pocketvideo.models.attention import LinearAttention, join_heads, split_heads
from comfyui_pocketvideo.pocketvideo.models.rope import apply_rope, rope_3d

SMALL = DenoiserConfig(
    in_channels=6, width=48, depth=8, heads=2, mlp_hidden=96, text_width=20, cross_attention=True
)


@pytest.fixture(scope="module")
def small() -> Denoiser:
    torch.manual_seed(0)
    network = Denoiser(SMALL)
    initialise(network)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.05)
    return network.eval().requires_grad_(False)


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "latent": torch.randn(2, 6, 3, 5, 7, generator=generator),
        "timestep": torch.rand(2, 3, generator=generator),
        "context": torch.randn(2, 9, 20, generator=generator),
        "context_mask": torch.tensor([[1.0] * 9, [1.0] * 4 + [0.0] * 5]),
        "motion": torch.tensor([1.0, 2.5]),
    }


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Key names and shapes of the published checkpoint, written out from its description."""
    width, hidden = 1152, 5760
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, 920, width),
        "pos_embed_temporal": (1, 17, width),
        "x_embedder.proj.weight": (width, 128, 1, 1),
        "x_embedder.proj.bias": (width,),
        "y_embedder.y_embedding": (300, 896),
        "y_embedder.y_proj.fc1.weight": (width, 896),
        "y_embedder.y_proj.fc1.bias": (width,),
        "y_embedder.y_proj.fc2.weight": (width, width),
        "y_embedder.y_proj.fc2.bias": (width,),
        "attention_y_norm.weight": (width,),
        "final_layer.linear.weight": (128, width),
        "final_layer.linear.bias": (128,),
        "final_layer.scale_shift_table": (2, width),
    }
    for name in ("t", "flow"):
        shapes[f"{name}_embedder.mlp.0.weight"] = (width, 256)
        shapes[f"{name}_embedder.mlp.0.bias"] = (width,)
        shapes[f"{name}_embedder.mlp.2.weight"] = (width, width)
        shapes[f"{name}_embedder.mlp.2.bias"] = (width,)
        shapes[f"{name}_block.1.weight"] = (6 * width, width)
        shapes[f"{name}_block.1.bias"] = (6 * width,)
    for i in range(16):
        block = f"blocks.{i}."
        shapes[block + "scale_shift_table"] = (6, width)
        shapes[block + "attn.qkv.weight"] = (3 * width, width)
        shapes[block + "attn.proj.weight"] = (width, width)
        shapes[block + "attn.proj.bias"] = (width,)
        if i in (7, 15):
            shapes[block + "attn.qkv.bias"] = (3 * width,)
        else:
            shapes[block + "attn.q_norm.weight"] = (width,)
            shapes[block + "attn.k_norm.weight"] = (width,)
        shapes[block + "mlp.inverted_conv.conv.weight"] = (hidden, width, 1, 1)
        shapes[block + "mlp.inverted_conv.conv.bias"] = (hidden,)
        shapes[block + "mlp.depth_conv.conv.weight"] = (hidden, 1, 3, 3)
        shapes[block + "mlp.depth_conv.conv.bias"] = (hidden,)
        shapes[block + "mlp.point_conv.conv.weight"] = (width, hidden // 2, 1, 1)
    return shapes


def test_mobilei2v_has_the_published_number_of_parameters() -> None:
    network = Denoiser(MOBILEI2V_270M, device="meta")
    assert sum(parameter.numel() for parameter in network.parameters()) == 267_218_048


def test_mobilei2v_loads_the_published_key_names_strictly() -> None:
    network = Denoiser(MOBILEI2V_270M, device="meta")
    state = {name: torch.empty(shape, device="meta") for name, shape in published_shapes().items()}
    network.load_state_dict(dict(state), strict=True, assign=True)
    del state["blocks.7.attn.qkv.bias"]
    with pytest.raises(RuntimeError, match=r"blocks\.7\.attn\.qkv\.bias"):
        network.load_state_dict(state, strict=True, assign=True)


def test_softmax_sits_at_every_eighth_block() -> None:
    kinds = [MOBILEI2V_270M.block_kind(i) for i in range(16)]
    assert [i for i, kind in enumerate(kinds) if kind == "softmax"] == [7, 15]
    assert kinds.count("linear") == 14


def test_convolution_shaped_weights_become_linear_ones() -> None:
    network = Denoiser(SMALL)
    state = network.state_dict()
    flat = state["blocks.0.mlp.inverted_conv.conv.weight"].clone()
    state["blocks.0.mlp.inverted_conv.conv.weight"] = flat[:, :, None, None]
    network.load_state_dict(state, strict=True)
    assert torch.equal(network.blocks[0].mlp.inverted_conv.conv.weight, flat)


def test_linear_attention_is_the_formula() -> None:
    torch.manual_seed(3)
    layer = LinearAttention(24, 2)
    x = torch.randn(1, 2, 2, 3, 24)
    cos, sin = rope_3d(2, 2, 3, 12, grid=16, base=10000.0)
    flat = x.flatten(1, 3)
    q, k, v = layer.qkv(flat).chunk(3, -1)
    q, k, v = (split_heads(y, 2).double() for y in (layer.q_norm(q), layer.k_norm(k), v))
    phi_q = apply_rope(q, cos.flatten(0, 2).double(), sin.flatten(0, 2).double()).relu()
    phi_k = apply_rope(k, cos.flatten(0, 2).double(), sin.flatten(0, 2).double()).relu()
    expected = torch.zeros_like(v)
    for head in range(2):
        for n in range(12):
            weights = torch.stack([phi_k[0, head, m] @ phi_q[0, head, n] for m in range(12)])
            expected[0, head, n] = (weights[:, None] * v[0, head]).sum(0) / (weights.sum() + 1e-8)
    expected_out = layer.proj(join_heads(expected).float())
    torch.testing.assert_close(layer(x, cos, sin).flatten(1, 3), expected_out, rtol=1e-4, atol=1e-5)


def test_rope_maps_mobilei2vs_grid_onto_16_positions() -> None:
    cos, sin = rope_3d(3, 23, 40, 72, grid=16, base=10000.0)
    angle = torch.atan2(sin, cos)
    # The fastest frequency of every third turns by the position itself: t, y / 1.4375, x / 2.5.
    assert angle[1, 0, 0, 0].item() == pytest.approx(1.0)
    assert angle[0, 2, 0, 24].item() == pytest.approx(2 / 1.4375)
    assert angle[0, 0, 5, 48].item() == pytest.approx(5 / 2.5)
    assert cos.shape == (3, 23, 40, 72)


def test_rope_makes_scores_depend_on_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 12, generator=generator)
    cos, sin = rope_3d(6, 1, 1, 12, grid=16, base=10000.0)
    cos, sin = cos.flatten(0, 2), sin.flatten(0, 2)

    def score(a: int, b: int) -> float:
        rotated_q = apply_rope(q, cos[a : a + 1], sin[a : a + 1])
        rotated_k = apply_rope(k, cos[b : b + 1], sin[b : b + 1])
        return float((rotated_q * rotated_k).sum())

    assert score(0, 2) == pytest.approx(score(3, 5), abs=1e-5)
    assert score(0, 2) != pytest.approx(score(0, 4), abs=1e-3)


def test_forward_is_prologue_blocks_epilogue(small: Denoiser, inputs: dict) -> None:
    start = small.prologue(**inputs)
    assert start.tokens.shape == (2, 3, 5, 7, 48)
    assert start.modulation.shape == (2, 3, 1, 1, 6 * 48)
    tokens = start.tokens
    for block in small.blocks:
        tokens = block(tokens, start.modulation, start.cos, start.sin, start.context, start.context_bias)
    velocity = small(**inputs)
    assert velocity.shape == inputs["latent"].shape
    torch.testing.assert_close(small.epilogue(tokens, start.time_embed), velocity)


def test_padding_of_the_text_is_not_seen(small: Denoiser, inputs: dict) -> None:
    before = small(**inputs)
    changed = inputs["context"].clone()
    changed[1, 4:] += 3
    after = small(**{**inputs, "context": changed})
    torch.testing.assert_close(after, before)
    changed[1, 3] += 3
    assert not torch.allclose(small(**{**inputs, "context": changed})[1], before[1])


def test_time_is_per_frame_and_the_last_layer_ignores_motion(small: Denoiser, inputs: dict) -> None:
    start = small.prologue(**inputs)
    later = inputs["timestep"].clone()
    later[:, 1:] = 0.9
    other = small.prologue(**{**inputs, "timestep": later})
    torch.testing.assert_close(other.modulation[:, 0], start.modulation[:, 0])
    assert not torch.allclose(other.modulation[:, 1], start.modulation[:, 1])
    faster = small.prologue(**{**inputs, "motion": inputs["motion"] + 1})
    assert not torch.allclose(faster.modulation, start.modulation)
    torch.testing.assert_close(faster.time_embed, start.time_embed)


def test_one_time_for_all_frames_equals_the_same_time_on_each(small: Denoiser, inputs: dict) -> None:
    single = torch.tensor([0.3, 0.6])
    each = single[:, None].expand(2, 3)
    torch.testing.assert_close(small(**{**inputs, "timestep": single}), small(**{**inputs, "timestep": each}))


def test_the_feed_forward_does_not_mix_frames(small: Denoiser) -> None:
    x = torch.randn(1, 3, 4, 4, 48, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 1] += 1
    difference = (small.blocks[0].mlp(changed) - small.blocks[0].mlp(x)).abs().amax((0, 2, 3, 4))
    assert difference[0] == 0 and difference[2] == 0 and difference[1] > 0


def test_frames_talk_through_attention(small: Denoiser, inputs: dict) -> None:
    changed = inputs["latent"].clone()
    changed[:, :, 2] += 1
    moved = (small(**{**inputs, "latent": changed}) - small(**inputs)).abs().amax((0, 1, 3, 4))
    assert moved[0] > 1e-5


def test_text_has_no_effect_without_cross_attention(inputs: dict) -> None:
    config = replace(SMALL, cross_attention=False, null_caption_tokens=4)
    network = Denoiser(config)
    initialise(network)
    torch.nn.init.normal_(network.final_layer.linear.weight)
    plain = network(inputs["latent"], inputs["timestep"], motion=inputs["motion"])
    torch.testing.assert_close(network(**inputs), plain)


def test_a_text_model_without_text_says_what_to_give(small: Denoiser, inputs: dict) -> None:
    with pytest.raises(ValueError, match="empty prompt"):
        small(inputs["latent"], inputs["timestep"])


def test_a_width_that_rope_cannot_split_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 6"):
        replace(SMALL, width=50)


def test_an_unknown_config_field_is_named() -> None:
    with pytest.raises(ValueError, match="sparkle"):
        DenoiserConfig.from_dict({**SMALL.to_dict(), "sparkle": 1})
