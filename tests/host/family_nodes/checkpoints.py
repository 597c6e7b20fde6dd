"""Writes the smallest checkpoints that ComfyUI's own loaders take for what they are.

Sizes are those that comfy/model_detection.py lets a file choose; where it forces a size that is not tiny and
honours safetensors metadata (`config.transformer`, Wan and LTXV), the metadata shrinks it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.ops
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .weights import randomise

OPERATIONS = comfy.ops.disable_weight_init
WAN_SMALL = {"num_heads": 2, "text_dim": 32, "freq_dim": 32}
LTXV_SMALL = {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "cross_attention_dim": 48,
    "caption_channels": 32,
    "num_layers": 2,
}
# As wide as the tiny transformers read text.
TEXT_SMALL = {
    "d_ff": 24,
    "d_kv": 6,
    "d_model": 32,
    "dense_act_fn": "gelu_pytorch_tanh",
    "is_gated_act": True,
    "num_heads": 3,
    "num_layers": 2,
}
LTXV_VAE = {
    "_class_name": "CausalVideoAutoencoder",
    "dims": 3,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 128,
    "blocks": [
        ["res_x", {"num_layers": 1}],
        ["compress_all", {}],
        ["res_x", {"num_layers": 1}],
        ["compress_all", {}],
        ["compress_all", {}],
        ["res_x", {"num_layers": 1}],
    ],
    "scaling_factor": 1.0,
    "norm_layer": "pixel_norm",
    "patch_size": 4,
    "latent_log_var": "uniform",
    "use_quant_conv": False,
    "causal_decoder": False,
    "encoder_base_channels": 16,
    "decoder_base_channels": 16,
}


def write_all(models: Path) -> list[str]:
    """Write every file below the host's models folder; returns their names relative to it."""
    return [_write(models / name, *make()) for name, make in FILES.items()]


def _write(path: Path, state: dict[str, Tensor], metadata: dict[str, str] | None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Half precision, as published files are: the loaders must upcast it for the CPU.
    save_file({name: _half(value).contiguous() for name, value in state.items()}, path, metadata=metadata)
    return "/".join(path.parts[-2:])


def _half(value: Tensor) -> Tensor:
    return value.to(torch.float16) if value.is_floating_point() else value


Made = tuple[dict[str, Tensor], dict[str, str] | None]


def _config(**parts: Any) -> dict[str, str]:
    return {"config": json.dumps(parts)}


def _build(kind: type[nn.Module], seed: int, **sizes: Any) -> dict[str, Tensor]:
    return randomise(kind(device="cpu", dtype=torch.float32, operations=OPERATIONS, **sizes), seed)


def _wan(
    seed: int, *, model_type: str = "t2v", channels: tuple[int, int] = (16, 16), small: bool = True
) -> Callable[[], Made]:
    """A Wan transformer of two blocks. Without `small` the detected sizes hold: 128 wide, 4096 wide text."""

    def make() -> Made:
        from comfy.ldm.wan.model import WanModel

        sizes = (
            {"dim": 48, "ffn_dim": 64, **WAN_SMALL} if small else {"dim": 128, "ffn_dim": 128, "num_heads": 1}
        )
        in_dim, out_dim = channels
        state = _build(
            WanModel, seed, model_type=model_type, num_layers=2, in_dim=in_dim, out_dim=out_dim, **sizes
        )
        return state, _config(transformer=WAN_SMALL) if small else None

    return make


def _ltxv() -> Made:
    from comfy.ldm.lightricks.model import LTXVModel

    return _build(LTXVModel, 11, **LTXV_SMALL), _config(transformer=LTXV_SMALL)


def _hunyuan_video() -> Made:
    from comfy.ldm.hunyuan_video.model import HunyuanVideo

    state = _build(
        HunyuanVideo,
        12,
        image_model="hunyuan_video",
        in_channels=16,
        out_channels=16,
        patch_size=[1, 2, 2],
        vec_in_dim=768,
        axes_dim=[16, 56, 56],
        context_in_dim=32,
        hidden_size=128,
        mlp_ratio=4.0,
        num_heads=1,
        depth=1,
        depth_single_blocks=1,
        theta=256,
        qkv_bias=True,
        guidance_embed=True,
        byt5=False,
        meanflow=False,
        meanflow_sum=False,
        use_cond_type_embedding=False,
        vision_in_dim=None,
    )
    return state, None


def _cogvideox() -> Made:
    from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel

    state = _build(
        CogVideoXTransformer3DModel,
        13,
        num_attention_heads=1,
        attention_head_dim=64,
        in_channels=16,
        time_embed_dim=64,
        num_layers=2,
        text_embed_dim=32,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=False,
    )
    return state, None


def _wan_vae() -> Made:
    from comfy.ldm.wan.vae import WanVAE

    vae = WanVAE(dim=8, z_dim=16, temperal_downsample=[False, True, True])
    return randomise(vae, 14), None


def _ltxv_vae() -> Made:
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    return randomise(VideoVAE(config=LTXV_VAE), 15), _config(vae=LTXV_VAE)


def _text(seed: int, model_type: str, vocabulary: int) -> dict[str, Tensor]:
    from comfy.text_encoders.t5 import T5

    sizes = {**TEXT_SMALL, "model_type": model_type, "vocab_size": vocabulary}
    return randomise(T5(sizes, torch.float32, "cpu", OPERATIONS), seed)


def _t5() -> Made:
    return _text(17, "t5", 32128), None


def _umt5() -> Made:
    """With its tokenizer inside, trained on a few words."""
    import io

    import sentencepiece  # type: ignore[import-not-found]

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(
            ["a red circle moves left", "a blue square goes right over green ground"] * 20
        ),
        model_writer=model,
        vocab_size=320,
        byte_fallback=True,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    spiece = torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8)
    return {**_text(18, "umt5", 512), "spiece_model": spiece}, None


def _wan_lora() -> Made:
    """Rank 2 on the self-attention of both blocks of the small Wan, strong enough to show."""
    generator = torch.Generator().manual_seed(16)
    state = {}
    for block in range(2):
        for layer in "qkvo":
            prefix = f"diffusion_model.blocks.{block}.self_attn.{layer}"
            state[f"{prefix}.lora_A.weight"] = torch.randn((2, 48), generator=generator) * 0.2
            state[f"{prefix}.lora_B.weight"] = torch.randn((48, 2), generator=generator) * 0.2
    return state, None


FILES: dict[str, Callable[[], Made]] = {
    "diffusion_models/wan21_t2v.safetensors": _wan(1),
    "diffusion_models/wan21_t2v_detected.safetensors": _wan(2, small=False),
    "diffusion_models/wan21_i2v.safetensors": _wan(3, model_type="i2v", channels=(36, 16)),
    "diffusion_models/wan22_i2v_high.safetensors": _wan(4, channels=(36, 16)),
    "diffusion_models/wan22_i2v_low.safetensors": _wan(5, channels=(36, 16)),
    "diffusion_models/wan22_5b.safetensors": _wan(6, channels=(48, 48)),
    "diffusion_models/ltxv.safetensors": _ltxv,
    "diffusion_models/hunyuan_video.safetensors": _hunyuan_video,
    "diffusion_models/cogvideox.safetensors": _cogvideox,
    "vae/wan21.safetensors": _wan_vae,
    "vae/ltxv.safetensors": _ltxv_vae,
    "text_encoders/t5.safetensors": _t5,
    "text_encoders/umt5.safetensors": _umt5,
    "loras/wan21.safetensors": _wan_lora,
}
