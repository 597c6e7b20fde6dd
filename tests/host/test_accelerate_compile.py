"""torch.compile beside Leap, Merge, a LoRA and context windows, on Wan in the real host.

The `cudagraphs` backend: Dynamo and AOTAutograd trace the network as for any backend, and on a CPU the traced
graph then runs without CUDA graphs. `inductor` would need a C++ compiler and two minutes for the same proof.
"""

from __future__ import annotations

import pytest
import torch

from host.acceleration import (
    WINDOWS,
    assert_close,
    leap_at,
    merge_pairs,
    merged_calls,
    said,
    until_leap_at,
)
from host.client import ComfyClient
from host.families import FAMILIES, WAN_LORA, sample, sample_and_run
from host.graphs import JSON, node
from host.server import ComfyServer

WAN = FAMILIES["wan21"]
COMPILE = node("TorchCompileModel", backend="cudagraphs")
LORA = node("LoraLoaderModelOnly", lora_name=WAN_LORA, strength_model=1.0)


@pytest.mark.parametrize("model", [[], [LORA], [WINDOWS]], ids=["plain", "lora", "windows"])
def test_compiling_keeps_the_video(host: ComfyServer, client: ComfyClient, model: list[JSON]) -> None:
    # Nine latent frames, more than one context window holds.
    size = {"steps": 4, "frames": 9}
    plain = sample(host, client, WAN, **size, model=model)
    assert_close(sample(host, client, WAN, **size, model=[*model, COMPILE]), plain)
    # Bypassed: the same numbers computed anew with the model that was compiled.
    after = sample(host, client, WAN, **size, model=model, sigmas=[node("SplitSigmas", step=4)])
    assert torch.equal(after, plain)


def test_a_leap_over_a_compiled_model_lands_on_the_closed_form(
    host: ComfyServer, client: ComfyClient
) -> None:
    leapt, run = sample_and_run(host, client, WAN, steps=4, model=[COMPILE], sampler=[leap_at(1)])
    assert said(run, "at step 1")
    assert_close(leapt, sample(host, client, WAN, **until_leap_at(1, WAN)))


@pytest.mark.parametrize("window", [(0.0, 0.5), (0.5, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("compile_first", [True, False])
def test_a_compiled_model_merges_in_its_window_only(
    host: ComfyServer, client: ComfyClient, window: tuple[float, float], compile_first: bool
) -> None:
    """Behind a compiled run without the merge: ComfyUI drops the guards that would tell them apart."""
    merge = merge_pairs(*window)
    sample(host, client, WAN, steps=4, model=[COMPILE])
    both, run = sample_and_run(
        host, client, WAN, steps=4, model=[COMPILE, merge] if compile_first else [merge, COMPILE]
    )
    merged = sample(host, client, WAN, steps=4, model=[merge])

    assert merged_calls(run) == WAN.self_attention + WAN.cross_attention
    assert_close(both, merged)
    assert not torch.equal(both, sample(host, client, WAN, steps=4))
    after = sample(host, client, WAN, steps=4, model=[COMPILE], sigmas=[node("SplitSigmas", step=4)])
    assert_close(after, sample(host, client, WAN, steps=4))
