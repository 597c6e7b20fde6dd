"""The distance between sets of clips: against the closed form, and in the order that eyes would give."""

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.eval.frechet import clip_features, frechet_distance
from comfyui_pocketvideo.pocketvideo.models import build_model
from comfyui_pocketvideo.pocketvideo.training.data.shapes import held_out_prompts, render


def normal(count: int, scale: float, shift: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 4, generator=generator).double() * scale + shift


def test_it_is_the_closed_form_of_two_normal_distributions() -> None:
    first, second = normal(40_000, 1.0, 0.0), normal(40_000, 3.0, 2.0, seed=1)
    # Four axes: a distance of 2 between the means, and (3 - 1)^2 between the spreads.
    assert frechet_distance(first, second) == pytest.approx(4 * (4 + 4), rel=0.02)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first))
    with pytest.raises(ValueError, match="two clips"):
        frechet_distance(first[:1], second)


def test_still_clips_and_other_colours_are_further_away_than_other_clips_of_the_same_kind() -> None:
    vae = build_model("pocket_shapes", 2).vae
    specs = held_out_prompts(48)
    real = render(specs[:24], frames=9, height=64, width=64)
    other = render(specs[24:], frames=9, height=64, width=64)
    features = clip_features(vae, real)
    assert features.shape == (24, 3 * vae.latent_channels)
    torch.testing.assert_close(features, clip_features(vae, real, batch=5), atol=1e-5, rtol=1e-4)
    near = frechet_distance(features, clip_features(vae, other))
    still = other[:, :, :1].expand(-1, -1, 9, -1, -1)
    assert frechet_distance(features, clip_features(vae, still)) > near
    assert frechet_distance(features, clip_features(vae, -other)) > near
