"""Leap, Merge, EasyCache, a LoRA, context windows and bypassing, two at a time, on Wan in the real host."""

from __future__ import annotations

import itertools

import pytest
import torch

from host.acceleration import WINDOWS, assert_close, leap_at, merge_pairs, merged_calls, said, until_leap_at
from host.client import ComfyClient
from host.families import FAMILIES, WAN_LORA, sample, sample_and_run
from host.graphs import JSON, node
from host.server import ComfyServer

WAN = FAMILIES["wan21"]
# Nine latent frames: context windows need more of them than one window holds.
SIZE = {"steps": 4, "frames": 9}
MODEL_NODES: dict[str, JSON] = {
    "lora": node("LoraLoaderModelOnly", lora_name=WAN_LORA, strength_model=1.0),
    "merge": merge_pairs(),
    # Random weights change fast from step to step; the largest threshold still reuses some.
    "easycache": node("EasyCache", reuse_threshold=3.0, start_percent=0.0, end_percent=1.0, verbose=False),
    "windows": WINDOWS,
}
LEAP_STEP = 2


@pytest.mark.parametrize("name", MODEL_NODES)
def test_bypass_gives_what_never_having_had_the_node_gives(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    """ComfyUI leaves a bypassed node out of the prompt; the model that it patched must be as it was."""
    before = sample(host, client, WAN, **SIZE)
    changed = sample(host, client, WAN, **SIZE, model=[MODEL_NODES[name]])
    # The same numbers, computed anew behind the run that had the node.
    after = sample(host, client, WAN, **SIZE, sigmas=[node("SplitSigmas", step=SIZE["steps"])])

    assert not torch.equal(changed, before)
    assert torch.equal(after, before)


def test_a_bypassed_leap_gives_what_the_sampler_gives(host: ComfyServer, client: ComfyClient) -> None:
    before = sample(host, client, WAN, **SIZE)
    assert not torch.equal(sample(host, client, WAN, **SIZE, sampler=[leap_at(LEAP_STEP)]), before)
    after = sample(host, client, WAN, **SIZE, sigmas=[node("SplitSigmas", step=SIZE["steps"])])
    assert torch.equal(after, before)


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(MODEL_NODES, 2)))
def test_two_on_the_model_both_act(host: ComfyServer, client: ComfyClient, first: str, second: str) -> None:
    nodes = [MODEL_NODES[first], MODEL_NODES[second]]
    both, run = sample_and_run(host, client, WAN, **SIZE, model=nodes)

    assert torch.isfinite(both).all()
    assert not torch.equal(both, sample(host, client, WAN, **SIZE))
    for alone in nodes:
        assert not torch.equal(both, sample(host, client, WAN, **SIZE, model=[alone]))
    if "merge" in (first, second):
        assert merged_calls(run) == WAN.self_attention + WAN.cross_attention


@pytest.mark.parametrize("name", MODEL_NODES)
def test_a_leap_beside_each_lands_on_the_closed_form(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    model = [MODEL_NODES[name]]
    leapt, run = sample_and_run(host, client, WAN, **SIZE, model=model, sampler=[leap_at(LEAP_STEP)])
    closed = {**SIZE, **until_leap_at(LEAP_STEP, WAN)}

    assert torch.isfinite(leapt).all()
    assert said(run, f"at step {LEAP_STEP}")
    assert_close(leapt, sample(host, client, WAN, **closed, model=model))
    assert not torch.equal(leapt, sample(host, client, WAN, **SIZE, sampler=[leap_at(LEAP_STEP)]))
    assert not torch.equal(leapt, sample(host, client, WAN, **SIZE, model=model))


@pytest.mark.parametrize("name", ["easycache", "windows"])
def test_the_order_of_merge_and_the_hosts_own_nodes_is_free(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    before = sample(host, client, WAN, **SIZE, model=[MODEL_NODES["merge"], MODEL_NODES[name]])
    assert torch.equal(
        sample(host, client, WAN, **SIZE, model=[MODEL_NODES[name], MODEL_NODES["merge"]]), before
    )
