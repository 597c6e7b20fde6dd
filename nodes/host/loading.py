"""A model file as ComfyUI's MODEL, CLIP and VAE."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import comfy.model_patcher
import comfy.sd
from tokenizers import Tokenizer
from torch import Tensor

from ...pocketvideo.few_step import NotAStudent, read_card
from ...pocketvideo.models import DEFAULTS, ModelFileError, PocketVAE, read_model_file
from ...pocketvideo.models.latent_preview import fit_latent_rgb
from ...pocketvideo.models.text import MAX_TOKENS, PAD
from .clip import make_clip
from .few_step import ATTACHMENT
from .model import PocketLatentFormat, make_model
from .vae import make_vae

logger = logging.getLogger(__name__)

# Fitting the preview's colours decodes a few small frames; a larger VAE must bring them in its file.
PREVIEW_FIT_LIMIT = 100_000_000


class LoadedModel(NamedTuple):
    """The host's three objects."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


def load_for_host(path: Path) -> LoadedModel:
    """Read a model file. Raises ModelFileError, in one sentence."""
    config, state = read_model_file(path)
    defaults: dict[str, Any] = {**DEFAULTS, **config.get("defaults", {})}
    tokenizer = Tokenizer.from_str(config["tokenizer"])
    part = "vae"
    try:
        vae = make_vae(config["vae"], _part(state, part))
        part = "text_encoder"
        clip = make_clip(
            config["text_encoder"],
            tokenizer,
            int(config.get("max_tokens", MAX_TOKENS)),
            tokenizer.token_to_id(PAD) or 0,
            _part(state, part),
        )
        part = "denoiser"
        network: PocketVAE = vae.first_stage_model
        latent_format = PocketLatentFormat(
            network.latent_channels,
            network.spatial_compression,
            network.temporal_compression,
            _preview_colours(config, network),
        )
        model = make_model(
            config["denoiser"], _part(state, part), defaults["shift"], defaults["motion"], latent_format
        )
    except RuntimeError as error:
        # torch lists every key; the first line says enough.
        reason = " ".join(str(error).split())[:300]
        raise ModelFileError(
            f"'{path.name}' does not fit its own description in {part} ({reason}); fetch the file again."
        ) from error
    try:
        card = read_card(config)
    except NotAStudent as error:
        raise ModelFileError(f"'{path.name}' cannot be used: {error}") from error
    if card is not None:
        model.set_attachments(ATTACHMENT, card)
    logger.info("Loaded %s from %s", config.get("name"), path.name)
    return LoadedModel(model, clip, vae)


def _part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = name + "."
    return {key.removeprefix(prefix): state.pop(key) for key in list(state) if key.startswith(prefix)}


def _preview_colours(config: dict[str, Any], vae: PocketVAE) -> tuple[list[list[float]], list[float]] | None:
    """The latent preview's colours: from the file, else fitted where that is quick."""
    shipped = config.get("latent_rgb")
    if shipped is not None:
        return shipped["factors"], shipped["bias"]
    if sum(parameter.numel() for parameter in vae.parameters()) > PREVIEW_FIT_LIMIT:
        return None
    return fit_latent_rgb(vae)
