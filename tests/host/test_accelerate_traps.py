"""Known traps of merging tokens in ComfyUI's models, each over HTTP and named after what it would break."""

from __future__ import annotations

import re

import pytest
import torch

from host.acceleration import merge_pairs, merged_calls, said
from host.client import ComfyClient
from host.families import (
    FAMILIES,
    GUIDER,
    IMAGE_MODEL,
    NEGATIVE,
    POSITIVE,
    install,
    sample,
    sample_and_run,
    sample_graph,
)
from host.graphs import LATENT, node
from host.pocket import read_latent
from host.server import ComfyServer


@pytest.mark.parametrize("name", ["hunyuan_masked", "hunyuan_i2v"])
def test_attention_with_a_mask_is_merged(host: ComfyServer, client: ComfyClient, name: str) -> None:
    """HunyuanVideo's text encoder gives a mask, and every attention call then carries one."""
    family = FAMILIES[name]
    merged, run = sample_and_run(host, client, family, model=[merge_pairs()])
    assert merged_calls(run) == family.self_attention
    assert not torch.equal(merged, sample(host, client, family))


def test_as_many_words_as_tokens_do_not_turn_cross_attention_into_self_attention(
    host: ComfyServer, client: ComfyClient
) -> None:
    """By lengths alone the text would be merged as if it were a video, and the words with it."""
    family = FAMILIES["wan21_equal_lengths"]
    assert family.text is not None
    frames, height, width = family.grid()
    assert family.text.tokens == frames * height * width
    _, run = sample_and_run(host, client, family, model=[merge_pairs()])
    assert merged_calls(run) == family.self_attention + family.cross_attention
    # Both queries and keys of 5 frames become 3 in self-attention; in cross-attention the words stay whole,
    # so that shuffling them must change nothing but rounding. Merged words would depend on their order.
    graph = sample_graph(family, model=[merge_pairs()])
    for key, link in (("51", POSITIVE), ("52", NEGATIVE)):
        graph[key] = node("FamilyShuffledText", conditioning=[link, 0])
        name = "positive" if link == POSITIVE else "negative"
        graph[GUIDER]["inputs"][name] = [key, 0]
    shuffled = read_latent(host, client.run(graph).require_success())
    straight = sample(host, client, family, model=[merge_pairs()])
    assert torch.allclose(shuffled, straight, atol=1e-3 * straight.abs().max().item())


@pytest.mark.parametrize("name", ["cogvideox", "cosmos", "cosmos_predict2"])
def test_models_without_block_patches_are_merged(host: ComfyServer, client: ComfyClient, name: str) -> None:
    family = FAMILIES[name]
    merged, run = sample_and_run(host, client, family, model=[merge_pairs()])
    assert merged_calls(run) > 0
    assert not torch.equal(merged, sample(host, client, family))


def test_blocks_that_work_in_place_leave_the_next_run_alone(host: ComfyServer, client: ComfyClient) -> None:
    """LTX-Video's blocks add to their input."""
    family = FAMILIES["ltxv"]
    plain = sample(host, client, family, seed=21)
    sample(host, client, family, seed=21, model=[merge_pairs()])
    again = sample(host, client, family, seed=21, sigmas=[node("SplitSigmas", step=3)])
    assert torch.equal(plain, again)


@pytest.mark.parametrize("in_context", [False, True])
def test_reference_pictures_in_the_sequence_of_wan(
    host: ComfyServer, client: ComfyClient, in_context: bool
) -> None:
    family = FAMILIES["wan21"]
    install(host)
    latents = []
    for model in ([], [merge_pairs()]):
        graph = sample_graph(family, model=model)
        graph["51"] = node(
            "FamilyReferenceLatent", conditioning=[POSITIVE, 0], latent=[LATENT, 0], in_context=in_context
        )
        graph[GUIDER]["inputs"]["positive"] = ["51", 0]
        run = client.run(graph).require_success()
        latents.append(read_latent(host, run))
    assert merged_calls(run) == family.self_attention + family.cross_attention
    assert torch.isfinite(latents[1]).all()
    assert not torch.equal(*latents)


def test_cores_tome_fails_on_wan_with_and_without_merge_alike(host: ComfyServer, client: ComfyClient) -> None:
    """ComfyUI's own spatial merging breaks on Wan; ours must neither hide that nor change it."""
    install(host)
    tome, errors = node("TomePatchModel", ratio=0.3), []
    for model in ([tome], [tome, merge_pairs()]):
        run = client.run(sample_graph(FAMILIES["wan21"], model=model))
        assert run.status == "error"
        assert run.error is not None
        errors.append(run.error["exception_message"])
    assert errors[0] == errors[1]
    # The model itself is unharmed.
    assert torch.isfinite(sample(host, client, FAMILIES["wan21"], seed=22)).all()


def test_each_of_wans_two_experts_merges_inside_the_whole_schedules_window(
    host: ComfyServer, client: ComfyClient
) -> None:
    """Percentages are of the schedule, not of one sampler's part: 40 % end within the first expert's half."""
    family = FAMILIES["wan22_i2v"]
    _, run = sample_and_run(host, client, family, steps=4, model=[merge_pairs(end=0.4)])
    lines = said(run, "Merged")
    assert any(re.search(r"Merged \d+ of \d+ attention calls", line) for line in lines), lines
    assert any(line.startswith("Merged nothing: no step lies between") for line in lines), lines


def test_one_latent_frame_merges_nothing_and_says_so(host: ComfyServer, client: ComfyClient) -> None:
    picture, run = sample_and_run(host, client, FAMILIES["wan21"], frames=1, model=[merge_pairs()])
    assert said(run, "Merged nothing: the video has one latent frame")
    assert torch.equal(picture, sample(host, client, FAMILIES["wan21"], frames=1))


def test_an_image_model_is_refused_by_name(host: ComfyServer, client: ComfyClient) -> None:
    run = client.run(sample_graph(IMAGE_MODEL, model=[merge_pairs()]))
    assert run.status == "error"
    assert run.error is not None
    assert run.error["node_type"] == "PocketVideoTemporalTokenMerge"
    assert "UNetModel" in run.error["exception_message"]
    assert "Wan" in run.error["exception_message"]
