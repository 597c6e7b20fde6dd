"""Stage 3: train the denoiser and its text encoder by rectified flow on cached latents.

x_t = (1 - t) x0 + t noise, v = noise - x0, t logit-normal (SD3; MobileI2V). In a part of the batch the first
latent frame is given: it stays clean, its tokens see time 0, and it is left out of the loss, because nothing
about its velocity could be known. Captions are dropped to the empty prompt for classifier-free guidance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..models.checkpoint import text_encoder_config
from ..models.config import DenoiserConfig
from ..models.denoiser import Denoiser, initialise
from ..models.text import PocketTextEncoder, encode_prompts, train_tokenizer
from .data.shapes import training_spec
from .latents import LatentSet
from .loop import Loop, LoopConfig, generator_for
from .muon import optimizers_for


class TextToVideo(nn.Module):
    """The two networks that are trained together."""

    def __init__(self, denoiser: DenoiserConfig, text_encoder: dict[str, Any]):
        super().__init__()
        self.denoiser = Denoiser(denoiser)
        self.text_encoder = PocketTextEncoder(text_encoder)

    def forward(self, latent: Tensor, time: Tensor, ids: Tensor, mask: Tensor, motion: Tensor) -> Tensor:
        return self.denoiser(latent, time, self.text_encoder(ids, mask), mask, motion)


def train_denoiser(run: Path, recipe: dict[str, Any], data: LatentSet) -> Path:
    """Train by `recipe["denoiser"]`; returns the safetensors file of the averaged weights."""
    settings = recipe["denoiser"]
    tokenizer = build_tokenizer(recipe)
    config = DenoiserConfig.from_dict(settings["model"])
    torch.manual_seed(recipe["seed"])
    module = TextToVideo(config, text_encoder_config(tokenizer, config.text_width or 0))
    initialise(module.denoiser)
    optimizers = optimizers_for(module, settings["lr"], settings["adam_lr"], settings["weight_decay"])
    loop = Loop(run / "denoiser", LoopConfig(**settings["loop"]), module, optimizers)
    ids, mask = encode_prompts(tokenizer, data.captions)
    empty_ids, empty_mask = encode_prompts(tokenizer, [""])

    def loss_at(step: int) -> dict[str, Tensor]:
        generator = generator_for(recipe["seed"], step, stream=1)
        index = torch.randint(len(data.latents), (settings["batch"],), generator=generator)
        dropped = torch.rand(settings["batch"], 1, generator=generator) < settings["drop_caption"]
        given = torch.rand(settings["batch"], generator=generator) < settings["given_first_frame"]
        return flow_loss(
            loop.module,
            data.latents[index],
            torch.where(dropped, empty_ids, ids[index]),
            torch.where(dropped, empty_mask, mask[index]),
            data.motion[index],
            given,
            generator,
        )

    target = run / "denoiser.safetensors"

    def export() -> None:
        temporary = target.with_suffix(".tmp")
        save_file(loop.ema_state_dict(), temporary)
        temporary.replace(target)

    loop.run(loss_at, on_checkpoint=export)
    export()
    return target


def flow_loss(
    network: nn.Module,
    clean: Tensor,
    ids: Tensor,
    mask: Tensor,
    motion: Tensor,
    given: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Squared error of the velocity on latents `[B, C, F, H, W]`; `given [B]`: clips with a first frame."""
    batch, _, frames = clean.shape[:3]
    time = torch.randn(batch, generator=generator).sigmoid()
    noise = torch.randn(clean.shape, generator=generator)
    free = torch.ones(batch, frames)
    free[given, 0] = 0
    times = time[:, None] * free  # [B, F]
    level = times[:, None, :, None, None]
    noisy = (1 - level) * clean + level * noise
    predicted = network(noisy, times, ids, mask, motion)
    error = (predicted - (noise - clean)).square().mean((1, 3, 4))  # [B, F]
    return {"loss": (error * free).sum() / free.sum()}


def build_tokenizer(recipe: dict[str, Any]) -> Any:
    """A tokenizer that knows the captions of the training set."""
    captions = [training_spec(recipe["seed"], i).caption for i in range(4000)]
    return train_tokenizer(captions, recipe["denoiser"]["vocab_size"])
