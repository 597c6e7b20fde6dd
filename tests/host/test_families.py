"""Every family of video models samples over HTTP at its smallest, and repeats itself."""

from __future__ import annotations

import pytest
import torch

from host.client import ComfyClient
from host.families import FAMILIES, IMAGE_MODEL, sample
from host.server import ComfyServer


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_samples_and_repeats_itself(host: ComfyServer, client: ComfyClient, name: str) -> None:
    family = FAMILIES[name]
    # Latents of a prompt before are served from the host's cache; the other seed makes it compute anew.
    first = sample(host, client, family, seed=11)
    other = sample(host, client, family, seed=12)
    host.client().free()
    again = sample(host, client, family, seed=11)

    assert torch.isfinite(first).all()
    channels, frames, height, width = family.shape
    guide_frames = first.shape[2] - frames
    assert tuple(first.shape) == (1, channels, frames + guide_frames, height, width)
    assert guide_frames == (name == "ltxv_guide")
    assert 1e-3 < first.std() < 1e3
    assert not torch.equal(first, other)
    assert torch.equal(first, again)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_prompt_is_heard(host: ComfyServer, client: ComfyClient, name: str) -> None:
    family = FAMILIES[name]
    assert not torch.equal(
        sample(host, client, family, steps=2, cfg=3.0), sample(host, client, family, steps=2, cfg=1.0)
    )


def test_the_image_model_samples(host: ComfyServer, client: ComfyClient) -> None:
    assert sample(host, client, IMAGE_MODEL).shape == (1, 4, 8, 8)
