"""Leap and Temporal Token Merge on every family of video models, over HTTP."""

from __future__ import annotations

import pytest
import torch

from host.acceleration import assert_close, leap_at, said, until_leap_at
from host.client import ComfyClient
from host.families import FAMILIES, sample, sample_and_run
from host.server import ComfyServer


@pytest.mark.parametrize("name", FAMILIES)
def test_a_leap_lands_on_the_closed_form(host: ComfyServer, client: ComfyClient, name: str) -> None:
    family = FAMILIES[name]
    # Two experts of two steps each can leap at their first evaluation only.
    step = 0 if family.low else 1
    leapt, run = sample_and_run(host, client, family, steps=4, sampler=[leap_at(step)])

    assert torch.isfinite(leapt).all()
    assert_close(leapt, sample(host, client, family, **until_leap_at(step, family)))
    assert said(run, f"at step {step}")
    assert not torch.equal(leapt, sample(host, client, family, steps=4))
