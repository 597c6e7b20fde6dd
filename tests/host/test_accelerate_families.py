"""Leap and Temporal Token Merge on every family of video models, over HTTP."""

from __future__ import annotations

import pytest
import torch

from host.acceleration import assert_close, leap_at, merge_pairs, merged_calls, said, until_leap_at
from host.client import ComfyClient
from host.families import FAMILIES, sample, sample_and_run
from host.graphs import node
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


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_tokens_change_the_video_and_leave_the_model_as_it_was(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    family = FAMILIES[name]
    plain = sample(host, client, family, steps=4)
    merged, run = sample_and_run(host, client, family, steps=4, model=[merge_pairs()])
    # The same numbers as at first, computed anew with the model that has just merged.
    after = sample(host, client, family, steps=4, sigmas=[node("SplitSigmas", step=4)])

    assert torch.isfinite(merged).all()
    assert merged_calls(run) == family.self_attention + family.cross_attention
    assert not torch.equal(merged, plain)
    assert torch.equal(after, plain)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_leap_over_merged_tokens_lands_on_the_closed_form(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    family = FAMILIES[name]
    step, merge = 0 if family.low else 1, [merge_pairs()]
    both, run = sample_and_run(host, client, family, steps=4, model=merge, sampler=[leap_at(step)])

    assert torch.isfinite(both).all()
    assert_close(both, sample(host, client, family, model=merge, **until_leap_at(step, family)))
    assert merged_calls(run) > 0
    assert said(run, f"at step {step}")
    assert not torch.equal(both, sample(host, client, family, steps=4, sampler=[leap_at(step)]))
