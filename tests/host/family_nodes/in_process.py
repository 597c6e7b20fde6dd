"""Builds models whose sizes comfy/model_detection.py hard-codes, from the host's own classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.supported_models_base
import comfy.text_encoders.lt
import comfy.text_encoders.wan
import comfy.utils
import folder_paths
import torch

from .checkpoints import TEXT_SMALL
from .weights import randomise

COSMOS = {
    "max_img_h": 240,
    "max_img_w": 240,
    "max_frames": 128,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 48,
    "num_blocks": 2,
    "num_heads": 2,
    "concat_padding_mask": True,
    "crossattn_emb_channels": 32,
    "pos_emb_cls": "rope3d",
    "pos_emb_interpolation": "crop",
    "use_adaln_lora": True,
    "adaln_lora_dim": 16,
}


def _mochi() -> Any:
    return comfy.supported_models.GenmoMochi(
        {
            "image_model": "mochi_preview",
            "depth": 2,
            "patch_size": 2,
            "num_heads": 2,
            "hidden_size_x": 64,
            "hidden_size_y": 32,
            # The host asserts a hidden width of 12288 in the MLP, whatever the model's width is.
            "mlp_ratio_x": 192.0,
            "mlp_ratio_y": 2.0,
            "learn_sigma": False,
            "in_channels": 12,
            "qk_norm": True,
            "qkv_bias": False,
            "out_bias": True,
            "attn_drop": 0.0,
            "patch_embed_bias": True,
            "posenc_preserve_area": True,
            "timestep_mlp_bias": True,
            "attend_to_padding": False,
            "timestep_scale": 1000.0,
            "use_t5": True,
            "t5_feat_dim": 32,
            "t5_token_length": 256,
            "rope_theta": 10000.0,
        }
    )


def _cosmos() -> Any:
    return comfy.supported_models.CosmosT2V(
        {
            **COSMOS,
            "image_model": "cosmos",
            "block_config": "FA-CA-MLP",
            "block_x_format": "THWBD",
            "affline_emb_norm": True,
            "pos_emb_learnable": False,
            "extra_per_block_abs_pos_emb": True,
            "extra_per_block_abs_pos_emb_type": "learnable",
            "rope_h_extrapolation_ratio": 1.0,
            "rope_w_extrapolation_ratio": 1.0,
            "rope_t_extrapolation_ratio": 2.0,
        }
    )


def _cosmos_predict2() -> Any:
    return comfy.supported_models.CosmosT2IPredict2(
        {
            **COSMOS,
            "image_model": "cosmos_predict2",
            "pos_emb_learnable": True,
            "min_fps": 1,
            "max_fps": 30,
            "extra_per_block_abs_pos_emb": False,
            "rope_h_extrapolation_ratio": 4.0,
            "rope_w_extrapolation_ratio": 4.0,
            "rope_t_extrapolation_ratio": 1.0,
            "extra_h_extrapolation_ratio": 1.0,
            "extra_w_extrapolation_ratio": 1.0,
            "extra_t_extrapolation_ratio": 1.0,
            "rope_enable_fps_modulation": False,
        }
    )


def _stable_diffusion() -> Any:
    """An image model, an SD 1.5 U-Net of one level: what a video technique has to refuse."""
    return comfy.supported_models.SD15(
        {
            "image_size": 32,
            "in_channels": 4,
            "out_channels": 4,
            "model_channels": 32,
            "num_res_blocks": [1, 1],
            "channel_mult": [1, 2],
            "transformer_depth": [1, 1],
            "transformer_depth_output": [1, 1, 1, 1],
            "transformer_depth_middle": 1,
            "num_heads": 2,
            "num_head_channels": -1,
            "context_dim": 32,
            "use_spatial_transformer": True,
            "use_linear_in_transformer": False,
            "use_temporal_attention": False,
            "adm_in_channels": None,
            "legacy": False,
        }
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "mochi": _mochi,
    "cosmos": _cosmos,
    "cosmos_predict2": _cosmos_predict2,
    "stable_diffusion": _stable_diffusion,
}


def build(family: str) -> comfy.model_patcher.ModelPatcher:
    """A MODEL with seeded random weights in float32."""
    config = BUILDERS[family]()
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "")
    model.diffusion_model.load_state_dict(randomise(model.diffusion_model, 21))
    return comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def tiny_text(family: str) -> comfy.sd.CLIP:
    """The host's T5 or UMT5 with the sizes and numbers of the tiny files."""
    name, key = {"ltxv": ("t5", "t5xxl"), "wan": ("umt5", "umt5xxl")}[family]
    path = folder_paths.get_full_path_or_raise("text_encoders", f"{name}.safetensors")
    state = comfy.utils.load_torch_file(path)
    sizes = {**TEXT_SMALL, "model_type": name, "vocab_size": state["shared.weight"].shape[0]}
    if family == "ltxv":
        target = comfy.supported_models_base.ClipTarget(
            comfy.text_encoders.lt.LTXVT5Tokenizer, comfy.text_encoders.lt.ltxv_te()
        )
    else:
        target = comfy.supported_models_base.ClipTarget(
            comfy.text_encoders.wan.WanT5Tokenizer, comfy.text_encoders.wan.te()
        )
    return comfy.sd.CLIP(
        target,
        tokenizer_data={"spiece_model": state.pop("spiece_model", None)},
        state_dict=[{key: value.float() for key, value in state.items()}],
        model_options={f"{key}_model_config": sizes, "model_name": key, "dtype": torch.float32},
    )
