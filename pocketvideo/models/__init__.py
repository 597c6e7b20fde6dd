"""Compact video networks with their VAEs and text encoders: real classes, any size."""

from .checkpoint import (
    DEFAULTS,
    ModelFileError,
    PocketModel,
    build_model,
    load_model,
    read_model_file,
    save_model,
)
from .config import MOBILEI2V_270M, POCKET_SHAPES, PRESETS, DenoiserConfig
from .denoiser import MASKED, Block, Denoiser, Prologue, initialise
from .stdit3 import STDIT3_XL2, STDiT3, STDiT3Config, load_stdit3
from .text import PocketTextEncoder, encode_prompts, train_tokenizer
from .vae import PocketVAE

__all__ = [
    "DEFAULTS",
    "MASKED",
    "MOBILEI2V_270M",
    "POCKET_SHAPES",
    "PRESETS",
    "STDIT3_XL2",
    "Block",
    "Denoiser",
    "DenoiserConfig",
    "ModelFileError",
    "PocketModel",
    "PocketTextEncoder",
    "PocketVAE",
    "Prologue",
    "STDiT3",
    "STDiT3Config",
    "build_model",
    "encode_prompts",
    "initialise",
    "load_model",
    "load_stdit3",
    "read_model_file",
    "save_model",
    "train_tokenizer",
]
