"""A tiny model of the real classes, and its exported bundle, made once for all tests of this folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.pocketvideo.export import Geometry, Plan, compile_workflow
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.modelfile import read_geometry
from comfyui_pocketvideo.pocketvideo.models import (
    DenoiserConfig,
    PocketModel,
    initialise,
    load_model,
    save_model,
    train_tokenizer,
)
from comfyui_pocketvideo.pocketvideo.models.checkpoint import SMALL_VAE, build_from_config, model_config
from PIL import Image

from unit.export import prompts

SIDE = 96
LENGTH = 9


def tiny_model(cross_attention: bool = True) -> PocketModel:
    """Two linear blocks and a softmax block, a VAE of 32 x 32 x 4 with residuals, two text layers."""
    denoiser = DenoiserConfig(
        in_channels=4,
        width=24,
        depth=3,
        heads=2,
        mlp_hidden=16,
        softmax_every=3,
        text_width=32,
        cross_attention=cross_attention,
        time_scale=1000.0,
    )
    vae = SMALL_VAE | {
        "latent_channels": 4,
        "block_out_channels": [8, 12],
        "decoder_block_out_channels": [8, 12],
        "upsample_residual": [True, False],
    }
    tokenizer = train_tokenizer(["a red circle moves left"], vocab_size=280)
    config = model_config("tiny", denoiser, vae, tokenizer, 32)
    config["defaults"] |= {"shift": 3.0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = build_from_config(config)
        initialise(model.denoiser)
        for name, parameter in model.denoiser.named_parameters():
            # Norms stay ones, all alike: an exporter that merges equal weights would show.
            if not name.endswith("norm.weight"):
                parameter.data += 0.1 * torch.randn_like(parameter)
        # Statistics that are not 0 and 1, so that leaving them out would show.
        model.vae.model.latents_mean.normal_(0, 0.5)
        model.vae.model.latents_std.uniform_(0.5, 2)
    for module in (model.denoiser, model.vae, model.text_encoder):
        module.eval().requires_grad_(False)
    return model


class Desk:
    """Lookups of a desk with one model file and one photo."""

    def __init__(self, model: Path, photo: Path) -> None:
        self.model_path, self.photo = model, photo

    def model(self, name: str) -> Geometry:
        return read_geometry(self.model_path)

    def image(self, name: str) -> Path:
        return self.photo


@dataclass
class Exported:
    """The tiny model, the desk that has it, the cache, and the bundle of the image-to-video workflow."""

    model: PocketModel
    desk: Desk
    cache: Path
    plan: Plan
    bundle: Bundle

    def compiled(self, prompt: dict) -> Plan:
        for node in prompt.values():
            if "width" in node["inputs"]:
                node["inputs"] |= {"width": SIDE, "height": SIDE, "length": LENGTH}
        return compile_workflow(prompt, None, self.desk)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("export")
    path, photo = root / "shapes.safetensors", root / "photo.png"
    save_model(path, tiny_model())
    generator = torch.Generator().manual_seed(1)
    noise = torch.randint(0, 256, (70, 110, 3), generator=generator, dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(photo)
    desk = Desk(path, photo)
    made = Exported(load_model(path), desk, root / "cache", None, None)  # type: ignore[arg-type]
    made.plan = made.compiled(prompts.image_to_video())
    made.bundle = export_bundle(made.plan, path, root / "bundle", cache_dir=made.cache)
    return made
