"""Stage 4: one model file out of the trained parts, with its training card."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ..models.checkpoint import DEFAULTS, PocketModel, build_from_config, model_config, save_model
from ..models.config import DenoiserConfig
from ..models.latent_preview import solve_latent_rgb
from .flow import build_tokenizer
from .latents import cache_latents
from .vae import load_vae

# The registry archive and git carry the file.
MAX_BYTES = 20_000_000


def pack_model(run: Path, recipe: dict[str, Any], target: Path) -> PocketModel:
    """Write the trained VAE, denoiser and text encoder as one fp16 safetensors file.

    Raises ValueError when the file is larger than 20 MB.
    """
    vae = load_vae(run / "vae.safetensors")
    denoiser = DenoiserConfig.from_dict(recipe["denoiser"]["model"])
    config = model_config(
        recipe["name"], denoiser, vae.config, build_tokenizer(recipe), denoiser.text_width or 0
    )
    clip = recipe["clip"]
    config["defaults"] = {**DEFAULTS, **{key: clip[key] for key in ("frames", "height", "width", "fps")}}
    config["defaults"].update(recipe["defaults"])
    config["latent_rgb"] = preview_factors(run, recipe)
    config["card"] = training_card(run, recipe)
    config["license"] = "Apache-2.0"
    model = build_from_config(config)
    model.vae.load_state_dict(vae.state_dict())
    trained = load_file(run / "denoiser.safetensors")
    for name, module in (("denoiser", model.denoiser), ("text_encoder", model.text_encoder)):
        module.load_state_dict(
            {k.removeprefix(f"{name}."): v for k, v in trained.items() if k.startswith(f"{name}.")}
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    save_model(target, model)
    size = target.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(
            f"'{target.name}' has {size} bytes, more than {MAX_BYTES}: make the networks smaller."
        )
    return model


def training_card(run: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """How the model came to be: recipe, steps, seconds, last losses."""
    stages = {}
    for name in ("vae", "denoiser", "decoder"):
        history = run / name / "losses.jsonl"
        lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
        if not lines:
            continue  # the decoder's polish is optional
        records = [json.loads(line) for line in lines]
        tail = records[-100:]
        # Every start of the command counts its own seconds: add the last of each.
        ends = [a for a, b in pairwise(records) if b["seconds"] < a["seconds"]]
        stages[name] = {
            "steps": records[-1]["step"],
            "seconds": round(sum(r["seconds"] for r in [*ends, records[-1]])),
            "loss": round(sum(r["loss"] for r in tail) / len(tail), 4),
        }
    return {
        "data": "procedural captioned moving shapes (pocketvideo/training/data/shapes.py), no outside data",
        "held_out": "64 of the 264 (colour, shape, motion) triples never occur in training",
        "recipe": recipe,
        "stages": stages,
        "torch": torch.__version__,
    }


@torch.no_grad()
def preview_factors(run: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """A linear map from latents to colours for live previews: least squares on decoded clips.

    Returns `factors [C][3]` and `bias [3]` for RGB in [-1, 1].
    """
    vae = load_vae(run / "vae.safetensors")
    latents = cache_latents(run, recipe).latents[:96]
    video = vae.decode(latents)
    small = torch.nn.functional.interpolate(video, tuple(latents.shape[2:]), mode="area")
    factors, bias = solve_latent_rgb(latents, small)
    return {
        "factors": [[round(value, 5) for value in row] for row in factors],
        "bias": [round(value, 5) for value in bias],
    }
