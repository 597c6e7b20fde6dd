"""Autoencoders and text encoders of published families leave the desk through the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export import ExportError
from comfyui_pocketvideo.pocketvideo.export.adapters.ltxv_vae import (
    LTXVDecoder,
    LTXVEncoder,
    ltxv_decoder_component,
    ltxv_encoder_component,
)
from comfyui_pocketvideo.pocketvideo.export.adapters.sentencepiece import sentencepiece_tokenizer
from comfyui_pocketvideo.pocketvideo.export.adapters.t5 import t5_component
from comfyui_pocketvideo.pocketvideo.export.adapters.wan_vae import wan_decoder_components
from comfyui_pocketvideo.pocketvideo.export.adapters.wan_vae_encoder import (
    wan_clip_components,
    wan_picture_component,
)
from diffusers import AutoencoderKLWan
from transformers import T5Config, T5EncoderModel

from unit.export.adapters.exporting import export, operators, randomise

LTXV: dict[str, Any] = {
    "latent_channels": 6,
    "patch_size": 2,
    "latent_log_var": "uniform",
    "norm_layer": "pixel_norm",
    "encoder_base_channels": 4,
    "decoder_base_channels": 8,
    "timestep_conditioning": True,
    "encoder_blocks": [["res_x", 1], ["compress_all", {}], ["compress_space_res", {"multiplier": 2}]],
    "decoder_blocks": [
        ["compress_space", {}],
        ["res_x_y", 1],
        ["compress_all", {"residual": True, "multiplier": 2}],
        ["res_x", 1],
    ],
}
T5 = {
    "vocab_size": 60,
    "d_model": 16,
    "d_kv": 6,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 3,
    "feed_forward_proj": "gated-gelu",
}


def test_ltx_videos_autoencoder_passes_the_gate(tmp_path: Path) -> None:
    decoder = ltxv_decoder_component(randomise(LTXVDecoder(LTXV), 0.2))
    assert decoder.inputs == ("latent", "noise")
    assert min(export(decoder, tmp_path).values()) > 90
    assert min(export(ltxv_encoder_component(randomise(LTXVEncoder(LTXV), 0.2), 8), tmp_path).values()) > 90


def test_wans_decoder_passes_the_gate_and_makes_the_video_in_pieces(tmp_path: Path) -> None:
    sizes = {"dim_mult": [1, 2], "num_res_blocks": 1, "temperal_downsample": [True]}
    network = randomise(AutoencoderKLWan(base_dim=4, z_dim=16, **sizes), 0.2)
    first, later = wan_decoder_components(network)
    config: Any = network.config
    mean, std = (
        torch.tensor(values)[:, None, None, None] for values in (config.latents_mean, config.latents_std)
    )
    latent = torch.randn(1, 16, 5, 3, 4, generator=torch.Generator().manual_seed(2))
    values: dict[str, torch.Tensor] = {}
    pieces = []
    with torch.no_grad():
        expected = network.decode(latent * std + mean).sample
        for index in range(5):
            (stage,) = (later if index else first).stages
            values["latent"] = latent[:, :, index : index + 1]
            made = stage.build()(*(values[name] for name in stage.inputs))
            values.update(zip(stage.outputs, made, strict=True))
            pieces.append(values["frames"])
    assert [piece.shape[2] for piece in pieces] == [1, 2, 2, 2, 2]
    torch.testing.assert_close(torch.cat(pieces, dim=2).clamp(-1, 1), expected, rtol=1e-4, atol=1e-4)
    for part in (first, later):
        assert min(export(part, tmp_path).values()) > 90
    one, other = (
        {path.name: path.stat().st_size for path in (tmp_path / part.name).glob("*.safetensors")}
        for part in (first, later)
    )
    assert set(one) == set(other)


WAN = {"dim_mult": [1, 2], "num_res_blocks": 1, "temperal_downsample": [True], "base_dim": 4}
WAN22 = WAN | {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "z_dim": 6}
WAN22 |= {"dim_mult": [1, 2, 2], "temperal_downsample": [False, True]}
WAN22 |= {"latents_mean": [0.1] * 6, "latents_std": [0.7] * 6, "decoder_base_dim": 8, "num_res_blocks": 2}


@pytest.mark.parametrize("sizes", [WAN, WAN22], ids=["2.1", "2.2"])
def test_wans_encoders_pass_the_gate_in_pieces_and_for_a_picture(
    tmp_path: Path, sizes: dict[str, Any]
) -> None:
    network = randomise(AutoencoderKLWan(**sizes), 0.2)
    start, later = wan_clip_components(network)
    assert (start.name, later.name) == ("vae_encoder_start", "vae_encoder_next")
    assert later.axes["image"].names[2] == 2
    # The decoder of 2.1 has its own test.
    decoders = wan_decoder_components(network) if "is_residual" in sizes else ()
    for part in (start, later, wan_picture_component(network), *decoders):
        assert min(export(part, tmp_path).values()) > 80
    one, other = (
        {path.name for path in (tmp_path / part.name).glob("*.safetensors")} for part in (start, later)
    )
    assert one == other


def test_a_text_encoder_passes_the_gate_with_one_graph_for_all_layers(tmp_path: Path) -> None:
    network = randomise(T5EncoderModel(T5Config(**T5, dropout_rate=0.0)), 0.3)
    parity = export(t5_component(network), tmp_path, length=140)
    assert min(parity.values()) > 90
    assert sorted(path.stem for path in tmp_path.glob("*.onnx")) == ["embed", "finish", "layer"]
    assert "Softmax" in operators(tmp_path, "layer")


def test_what_is_not_exported_is_named() -> None:
    noisy = LTXV | {"decoder_blocks": [["res_x", {"num_layers": 1, "inject_noise": True}]]}
    with pytest.raises(ExportError, match="draws noise inside its decoder"):
        LTXVDecoder(noisy)
    with pytest.raises(ExportError, match="has a block attn_res_x"):
        LTXVDecoder(LTXV | {"decoder_blocks": [["attn_res_x", {"num_layers": 1}]]})
    for text in (b"", b"\x0a\xff", b"\x0f", b"\xff" * 12):
        with pytest.raises(ValueError, match="SentencePiece"):
            sentencepiece_tokenizer(text)
