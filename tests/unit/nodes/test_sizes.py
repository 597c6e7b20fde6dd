"""Sizes that do not fit are refused with the sizes that do."""

from __future__ import annotations

import pytest
from comfyui_pocketvideo.nodes.host.sizes import DEFAULT_GRID, Grid, latent_shape


def test_shape_of_the_packs_model() -> None:
    assert latent_shape(128, 96, 17, 2, DEFAULT_GRID) == [2, 24, 5, 3, 4]


def test_shape_of_another_model() -> None:
    assert latent_shape(1280, 736, 17, 1, Grid(32, 8, 128)) == [1, 128, 3, 23, 40]


@pytest.mark.parametrize(
    ("width", "height", "length", "message"),
    [
        (100, 64, 17, r"Width 100 is not a multiple of 32: use 96 or 128\."),
        (16, 64, 17, r"Width 16 is not a multiple of 32: use 32\."),
        (64, 100, 17, r"Height 100 is not a multiple of 32: use 96 or 128\."),
        (64, 64, 16, r"Length 16 is not a multiple of 4 plus 1: use 13 or 17\."),
        (64, 64, 0, r"Length 0 is not a multiple of 4 plus 1: use 1\."),
    ],
)
def test_what_does_not_fit_names_what_does(width: int, height: int, length: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        latent_shape(width, height, length, 1, DEFAULT_GRID)


def test_the_default_grid_is_that_of_the_packs_model() -> None:
    from comfyui_pocketvideo.pocketvideo.models import build_model

    vae = build_model("pocket_shapes").vae
    assert Grid(vae.spatial_compression, vae.temporal_compression, vae.latent_channels) == DEFAULT_GRID
