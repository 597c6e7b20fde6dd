"""The model file that comes with the pack is the preset, whole, and says what it is."""

import json
from pathlib import Path

import torch
from comfyui_pocketvideo.pocketvideo.models import POCKET_SHAPES, build_model, load_model
from comfyui_pocketvideo.pocketvideo.models.latent_preview import fit_latent_rgb, solve_latent_rgb

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "models" / "pocketvideo" / "pocket_shapes.safetensors"
RECIPE = ROOT / "pocketvideo" / "training" / "recipes" / "pocket_shapes.json"


def test_preset_recipe_and_file_agree() -> None:
    config = load_model(SHIPPED).config
    recipe = json.loads(RECIPE.read_text(encoding="utf-8"))
    assert config["denoiser"] == POCKET_SHAPES.to_dict()
    assert config["denoiser"].items() >= recipe["denoiser"]["model"].items()
    assert config["vae"] == recipe["vae"]["model"] == build_model("pocket_shapes").config["vae"]
    assert config["card"]["recipe"] == recipe
    assert config["defaults"].items() >= recipe["defaults"].items()


def test_the_file_is_small_licensed_and_has_a_card() -> None:
    assert SHIPPED.stat().st_size <= 20_000_000
    config = load_model(SHIPPED).config
    assert config["license"] == "Apache-2.0"
    assert set(config["card"]["stages"]) == {"vae", "denoiser", "decoder"}
    assert all(stage["steps"] and stage["seconds"] for stage in config["card"]["stages"].values())


def test_the_previews_map_is_found_where_there_is_one() -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 5, 3, 4, 4, generator=generator)
    factors = torch.randn(5, 3, generator=generator)
    colours = torch.einsum("bcfhw,cr->brfhw", latents, factors) + 0.25
    found, bias = solve_latent_rgb(latents, colours)
    torch.testing.assert_close(torch.tensor(found), factors, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.tensor(bias), torch.full((3,), 0.25), atol=1e-4, rtol=1e-4)


def test_a_map_can_be_fitted_to_any_vae() -> None:
    factors, bias = fit_latent_rgb(build_model("pocket_shapes").vae, cells=2)
    assert len(factors) == 24 and len(bias) == 3
