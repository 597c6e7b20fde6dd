"""Tiny LTX-Video and Wan models as diffusers' folders, with text encoders, and recipes for LoRAs of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "blue", "ring", "star", "moves", "left", "right")
PROMPTS = ("a red ring moves left", "a blue star moves right", "a blue ring", "a red star moves left")
TEXT, TOKENS = 32, 6
# Channels, frames, height and width of a clip's latent.
SHAPES = {"ltxv": [128, 2, 2, 2], "wan": [16, 2, 4, 4]}


def write_model(family: str, folder: Path) -> Path:
    """Two blocks of the family's own class, in the sizes of tests/host's small files, and its other parts."""
    torch.manual_seed(5)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    text = {"vocab_size": len(WORDS), "d_model": TEXT, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    common: dict[str, Any] = {
        "scheduler": FlowMatchEulerDiscreteScheduler(),
        "tokenizer": PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=TOKENS, **special),
        "vae": None,
    }
    if family == "ltxv":
        network = LTXVideoTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=24,
            cross_attention_dim=48,
            num_layers=2,
            caption_channels=TEXT,
        )
        made = LTXPipeline(text_encoder=T5EncoderModel(T5Config(**text)), transformer=network, **common)
    else:
        network = WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=24,
            text_dim=TEXT,
            freq_dim=32,
            ffn_dim=64,
            num_layers=2,
        )
        made = WanPipeline(text_encoder=UMT5EncoderModel(UMT5Config(**text)), transformer=network, **common)
    made.save_pretrained(folder)
    return folder


def write_case(family: str, folder: Path) -> Path:
    """Model, prompts and a recipe of three steps below `folder`; the recipe's path."""
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    recipe = {
        "base": f"{family}_few_step_lora",
        "name": f"{family}_tiny",
        "published": {
            "model": str(write_model(family, folder / "model")),
            "data": str(data),
            "max_tokens": TOKENS,
            "latent_shape": SHAPES[family],
        },
        "trajectories": {"clips": len(PROMPTS), "steps": 5, "bf16": False},
        "draw": {"batch": 2, "starts": [0, 2], "weights": [1, 1]},
        "student": {"rank": 2, "lr": 0.02},
        "train": {"steps": 3, "begin": None, "warmup": 1, "checkpoint_every": 1, "mixed_precision": "no"},
        "objectives": {"adversarial": {"heads": {"stages": [0, 1], "width": 16}}},
        "sampling": {"sigmas": {"4": None, "2": [1.0, 0.5, 0.0], "1": [1.0, 0.0]}},
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe))
    return path
