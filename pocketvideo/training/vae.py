"""Stage 1: train the video VAE on rendered clips, and measure its latents.

Loss: L1 + `mse` * squared error, the first frame counted `first_frame` times (image-to-video must keep it).
A little noise on the latents keeps their space smooth, and a weak pull on their size keeps the noise
meaningful. Single frames come first: they are many to a step, and show edges and colours 17 times as fast.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ..models.vae import PocketVAE
from .data.shapes import render, training_spec
from .loop import Loop, LoopConfig, generator_for
from .muon import optimizers_for


def train_vae(run: Path, recipe: dict[str, Any]) -> Path:
    """Train by `recipe["vae"]`; returns the safetensors file of the averaged weights."""
    settings = recipe["vae"]
    torch.manual_seed(recipe["seed"])
    vae = PocketVAE(settings["model"])
    clips = _train(run, recipe, settings, "vae", vae)
    measure_latents(vae, clips[: settings["measured_clips"]])
    return _write(run, vae)


def polish_decoder(run: Path, recipe: dict[str, Any]) -> Path:
    """Go on with the decoder alone, by `recipe["decoder"]`: latents stay what they are, so that a denoiser
    trained on them stays valid (SnapGen-V retrains its decoder the same way)."""
    vae = load_vae(run / "vae.safetensors").train()
    vae.model.decoder.requires_grad_(True)
    torch.manual_seed(recipe["seed"])
    _train(run, recipe, recipe["vae"] | recipe["decoder"], "decoder", vae)
    return _write(run, vae)


def load_vae(path: Path) -> PocketVAE:
    """The VAE that a stage wrote, frozen, in eval mode."""
    if not path.exists():
        raise FileNotFoundError(f"There is no trained VAE at '{path}': run the stage 'vae' first.")
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    vae = PocketVAE(config)
    vae.load_state_dict(load_file(path))
    return vae.eval().requires_grad_(False)


def _train(run: Path, recipe: dict[str, Any], settings: dict[str, Any], name: str, vae: PocketVAE) -> Tensor:
    """Run one loop over rendered clips, leave the averaged weights in `vae`, and return the clips."""
    optimizers = optimizers_for(vae, settings["lr"], settings["adam_lr"], settings["weight_decay"])
    loop = Loop(run / name, LoopConfig(**settings["loop"]), vae, optimizers)
    clips = rendered_clips(run, recipe, settings["clips"])

    def loss_at(step: int) -> dict[str, Tensor]:
        generator = generator_for(recipe["seed"], step)
        still = step < settings["still_steps"]
        count = settings["still_batch"] if still else settings["batch"]
        index = torch.randint(len(clips), (count,), generator=generator)
        if still:
            frame = torch.randint(clips.shape[2], (count,), generator=generator)
            video = clips[index, :, frame][:, :, None]
        else:
            video = clips[index]
        return vae_loss(vae, _augment(video.float() / 127.5 - 1, generator), settings, generator)

    loop.run(loss_at)
    vae.load_state_dict(loop.ema_state_dict())
    return clips


def _write(run: Path, vae: PocketVAE) -> Path:
    target = run / "vae.safetensors"
    temporary = target.with_suffix(".tmp")
    save_file(vae.state_dict(), temporary, metadata={"config": json.dumps(vae.config)})
    temporary.replace(target)
    return target


def vae_loss(
    vae: PocketVAE, video: Tensor, settings: dict[str, Any], generator: torch.Generator
) -> dict[str, Tensor]:
    """Losses of one batch `[B, 3, T, H, W]`."""
    latent = vae.model.encode(video).latent_dist.mean
    noise = torch.randn(latent.shape, generator=generator)
    decoded = vae.model.decode(latent + settings["noise"] * noise).sample
    weight = torch.ones(video.shape[2])
    weight[0] = settings["first_frame"]
    error = decoded - video
    l1 = (error.abs().mean((0, 1, 3, 4)) * weight).mean()
    mse = (error.square().mean((0, 1, 3, 4)) * weight).mean()
    size = latent.square().mean()
    loss = l1 + settings["mse"] * mse + settings["size"] * size
    return {"loss": loss, "mse": error.square().mean().detach(), "size": size.detach()}


@torch.no_grad()
def measure_latents(vae: PocketVAE, clips: Tensor, batch: int = 16) -> None:
    """Fill the per-channel mean and standard deviation from uint8 clips `[N, 3, T, H, W]`.

    A silent channel keeps a floor of a quarter of the loudest one: scaling its noise up to unit variance
    would make the denoiser model nothing.
    """
    latents = torch.cat(
        [vae.model.encode(part.float() / 127.5 - 1).latent_dist.mean for part in clips.split(batch)]
    )
    std = latents.std((0, 2, 3, 4))
    vae.model.latents_mean.copy_(latents.mean((0, 2, 3, 4)))
    vae.model.latents_std.copy_(std.clamp_min(0.25 * float(std.max())))


def rendered_clips(run: Path, recipe: dict[str, Any], count: int) -> Tensor:
    """`count` training clips as uint8 `[N, 3, T, H, W]`, drawn once and kept beside the run."""
    clip = recipe["clip"]
    path = run / f"clips-{count}.safetensors"
    if path.exists():
        return load_file(path)["clips"]
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in tqdm(range(0, count, 32), desc="rendering clips", unit="x32"):
        specs = [training_spec(recipe["seed"], i) for i in range(first, min(first + 32, count))]
        video = render(specs, clip["frames"], clip["height"], clip["width"])
        parts.append(((video + 1) * 127.5).round().to(torch.uint8))
    clips = torch.cat(parts)
    save_file({"clips": clips}, path)
    return clips


def _augment(video: Tensor, generator: torch.Generator) -> Tensor:
    """Flip left-right, up-down and in time: captions do not matter here, more edges do."""
    flips = torch.rand(3, generator=generator) < 0.5
    dims = [dim for dim, flip in zip((2, 3, 4), flips, strict=True) if flip]
    return video.flip(dims) if dims else video
