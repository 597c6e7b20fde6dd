"""Every family of video models samples over HTTP at its smallest, and repeats itself."""

from __future__ import annotations

import pytest
import torch

from host.client import ComfyClient
from host.families import FAMILIES, IMAGE_MODEL, sample
from host.graphs import node
from host.server import ComfyServer


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_samples_hears_its_prompt_and_repeats_itself(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    family = FAMILIES[name]
    first = sample(host, client, family, steps=2, seed=11)
    # The host would serve an equal graph from its cache; sigmas cut behind their end are the same sigmas.
    again = sample(host, client, family, steps=2, seed=11, sigmas=[node("SplitSigmas", step=2)])

    assert torch.equal(first, again)
    assert torch.isfinite(first).all()
    assert 1e-3 < first.std() < 1e3
    channels, frames, height, width = family.shape
    # A guide is an extra latent frame until LTXVCropGuides takes it off.
    assert tuple(first.shape) == (1, channels, frames + (name == "ltxv_guide"), height, width)
    assert not torch.equal(first, sample(host, client, family, steps=2, seed=12))
    assert not torch.equal(first, sample(host, client, family, steps=2, seed=11, prompt="a blue star"))


def test_the_image_model_samples(host: ComfyServer, client: ComfyClient) -> None:
    assert sample(host, client, IMAGE_MODEL).shape == (1, 4, 8, 8)
