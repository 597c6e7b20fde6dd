"""One model, one safetensors file: weights of the three networks, and everything else in its metadata.

Keys start with `denoiser.`, `vae.` or `text_encoder.`; the metadata key `pocketvideo` holds JSON with the
configs, the tokenizer, the sampling defaults, the training card and the licence. A few-step student's file
holds its denoiser alone and names the `parent` beside it, whose text encoder and VAE it shares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from .config import PRESETS, DenoiserConfig
from .denoiser import Denoiser, initialise
from .text import MAX_TOKENS, PocketTextEncoder, encode_prompts, train_tokenizer
from .vae import PocketVAE

METADATA_KEY = "pocketvideo"
FORMAT = 1
DEFAULTS = {
    "width": 128,
    "height": 128,
    "frames": 17,
    "fps": 12,
    "steps": 25,
    "shift": 1.0,
    "guidance": 4.0,
    "motion": 2.0,
}


class ModelFileError(ValueError):
    """A model file that cannot be used; the message names the file, the cause and what to do."""


@dataclass
class PocketModel:
    """A whole text- or image-to-video model."""

    config: dict[str, Any]
    denoiser: Denoiser
    vae: PocketVAE
    text_encoder: PocketTextEncoder
    tokenizer: Tokenizer

    @property
    def defaults(self) -> dict[str, Any]:
        return {**DEFAULTS, **self.config.get("defaults", {})}

    @property
    def max_tokens(self) -> int:
        return int(self.config.get("max_tokens", MAX_TOKENS))

    def tokenize(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask `[B, max_tokens]`."""
        return encode_prompts(self.tokenizer, prompts, self.max_tokens)

    def encode_text(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """Features `[B, L, D]` and mask `[B, L]`."""
        ids, mask = self.tokenize(prompts)
        device = next(self.text_encoder.parameters()).device
        return self.text_encoder(ids.to(device), mask.to(device)), mask.to(device)


def load_model(path: str | Path, *, denoiser_operations: Any = torch.nn) -> PocketModel:
    """Read a model file into float32 networks in eval mode. Raises ModelFileError."""
    config, state = read_model_file(path)
    model = build_from_config(config, denoiser_operations=denoiser_operations)
    for name, module in _parts(model).items():
        part = {
            key.removeprefix(name + "."): value for key, value in state.items() if key.startswith(name + ".")
        }
        try:
            module.load_state_dict(part, strict=True)
        except RuntimeError as error:
            raise ModelFileError(
                f"'{path}' does not fit its own config in {name}: {error}. The file is damaged or was made "
                "by another version; fetch it again."
            ) from error
        module.eval().requires_grad_(False)
    return model


def read_model_file(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the float32 tensors of a model file, shared ones of its parent included.

    Raises ModelFileError.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelFileError(
            f"'{path.name}' is not a safetensors file; only those are loaded, because they hold no code."
        )
    try:
        with safe_open(path, framework="pt") as file:
            raw = (file.metadata() or {}).get(METADATA_KEY)
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file '{path}'.") from error
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"'{path.name}' cannot be read as safetensors ({error}); fetch it again."
        ) from error
    if raw is None:
        raise ModelFileError(
            f"'{path.name}' has no '{METADATA_KEY}' metadata, so its networks are unknown; "
            "choose a model file made for PocketVideo."
        )
    config = json.loads(raw)
    if config.get("format") != FORMAT:
        raise ModelFileError(
            f"'{path.name}' has format {config.get('format')} and this version reads {FORMAT}: "
            "update PocketVideo."
        )
    if "parent" in config:
        state |= _parent_state(path, config["parent"])
    return config, state


def _parent_state(student: Path, parent: Mapping[str, str]) -> dict[str, Tensor]:
    """What a student shares with its parent: everything but the denoiser."""
    # Only a name: a file must not reach outside its own folder.
    path = student.parent / Path(parent["file"]).name
    if not path.exists():
        raise ModelFileError(
            f"'{student.name}' is a student of '{path.name}', which is not beside it: put both into one "
            "folder."
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != parent["sha256"]:
        raise ModelFileError(
            f"'{student.name}' was made for another version of '{path.name}' than the one beside it: "
            "fetch both again."
        )
    _, state = read_model_file(path)
    return {key: value for key, value in state.items() if not key.startswith("denoiser.")}


def save_model(path: str | Path, model: PocketModel, dtype: torch.dtype = torch.float16) -> None:
    """Write one file. Statistics of the latents stay in float32."""
    state: dict[str, Tensor] = {}
    for name, module in _parts(model).items():
        for key, value in module.state_dict().items():
            keep = "latents_" in key or not value.is_floating_point()
            state[f"{name}.{key}"] = (value if keep else value.to(dtype)).contiguous()
    save_file(state, path, metadata={METADATA_KEY: json.dumps(model.config, sort_keys=True), "format": "pt"})


def build_from_config(config: Mapping[str, Any], *, denoiser_operations: Any = torch.nn) -> PocketModel:
    """Networks with untrained weights."""
    return PocketModel(
        config=dict(config),
        denoiser=Denoiser(DenoiserConfig.from_dict(config["denoiser"]), denoiser_operations),
        vae=PocketVAE(config["vae"]),
        text_encoder=PocketTextEncoder(config["text_encoder"]),
        tokenizer=Tokenizer.from_str(config["tokenizer"]),
    )


def build_model(preset: str = "pocket_shapes", seed: int = 0) -> PocketModel:
    """A preset with seeded random weights, for tests, sizes and speed."""
    if preset not in PRESETS:
        raise ValueError(f"Unknown preset '{preset}': choose one of {', '.join(PRESETS)}.")
    denoiser = PRESETS[preset]
    tokenizer = train_tokenizer(["a red circle moves left on a black background"], vocab_size=300)
    config = model_config(
        preset,
        denoiser,
        SMALL_VAE | {"latent_channels": denoiser.in_channels},
        tokenizer,
        denoiser.text_width or 96,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_from_config(config)
        initialise(model.denoiser)
        # Zero output layers would make every random model the same.
        for parameter in model.denoiser.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, 0, 0.02)
    for module in _parts(model).values():
        module.eval().requires_grad_(False)
    return model


def model_config(
    name: str, denoiser: DenoiserConfig, vae: Mapping[str, Any], tokenizer: Tokenizer, text_width: int
) -> dict[str, Any]:
    """The metadata of a new model file; the caller adds defaults, card and licence."""
    return {
        "format": FORMAT,
        "name": name,
        "denoiser": denoiser.to_dict(),
        "vae": dict(vae),
        "text_encoder": text_encoder_config(tokenizer, text_width),
        "tokenizer": tokenizer.to_str(),
        "max_tokens": MAX_TOKENS,
        "defaults": dict(DEFAULTS),
        "license": "Apache-2.0",
    }


def text_encoder_config(tokenizer: Tokenizer, width: int) -> dict[str, Any]:
    """Keyword arguments of `transformers.Qwen2Config` for a small encoder of that output width."""
    heads = width // 32 if width % 32 == 0 else 2
    return {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": MAX_TOKENS,
    }


SMALL_VAE: dict[str, Any] = {
    "latent_channels": 24,
    "block_out_channels": [48, 80],
    "decoder_block_out_channels": [64, 96],
    "down_block_types": ["LTXVideoDownBlock3D", "LTXVideoDownBlock3D"],
    "layers_per_block": [1, 1, 1],
    "decoder_layers_per_block": [1, 1, 1],
    "spatio_temporal_scaling": [True, True],
    "decoder_spatio_temporal_scaling": [True, True],
    "decoder_inject_noise": [False, False, False],
    "upsample_residual": [False, False],
    "upsample_factor": [1, 2],
    "patch_size": 8,
}


def _parts(model: PocketModel) -> dict[str, torch.nn.Module]:
    return {"denoiser": model.denoiser, "vae": model.vae, "text_encoder": model.text_encoder}
