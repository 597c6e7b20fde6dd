"""Temporal Token Merge on the host's models: how many tokens it merges, which it leaves, what it says."""

from __future__ import annotations

import re

import pytest
import torch

from host.acceleration import assert_close, merge_pairs, merge_similar, said
from host.client import ComfyClient, PromptRejected, RunResult
from host.families import FAMILIES, GIVEN, GUIDER, install, sample, sample_and_run, sample_graph
from host.graphs import SAMPLED, node, save_latent
from host.pocket import message, read_latent
from host.server import ComfyServer

SENTENCE = re.compile(
    r"Merged (\d+) of (\d+) attention calls in steps? (\d+)(?:-(\d+))? of (\d+): (\d+) -> (\d+) tokens"
)
GIVEN_FRAME = ("pocket_i2v", "wan21_i2v", "wan22_i2v", "wan22_5b_i2v", "ltxv_i2v", "hunyuan_i2v")
COMPILE = node("TorchCompileModel", backend="cudagraphs")


def counts(run: RunResult) -> tuple[int, ...]:
    """Merged calls, calls, first and last step, steps, tokens before and after, of a run's first line."""
    match = next(filter(None, (SENTENCE.search(text) for text in said(run, "Merged"))))
    merged, seen, first, last, *rest = match.groups()
    return tuple(int(value) for value in (merged, seen, first, last or first, *rest))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_attention_of_a_family_merges(host: ComfyServer, client: ComfyClient, name: str) -> None:
    family = FAMILIES[name]
    frames, height, width = family.grid()
    area = height * width
    plain = sample(host, client, family, steps=4)
    merged, run = sample_and_run(host, client, family, steps=4, model=[merge_pairs(end=0.5)])

    assert torch.isfinite(merged).all()
    assert not torch.equal(merged, plain)
    found, calls, first, last, _, before, after = counts(run)
    assert found == calls == family.self_attention + family.cross_attention
    assert first == 1
    assert last == (2 if family.flow and family.low is None else last)
    # Of five frames two pairs merge, with or without a given first one.
    assert before - after == 2 * area
    text = before - frames * area
    assert bool(text) == (bool(family.joint_text) or name == "ltxv_guide")


@pytest.mark.parametrize("name", GIVEN_FRAME)
def test_a_given_first_frame_is_never_merged(host: ComfyServer, client: ComfyClient, name: str) -> None:
    """Of six frames, three pairs could merge; without the first frame there are two and a single one."""
    family = FAMILIES[name]
    _, height, width = family.grid()
    _, run = sample_and_run(host, client, family, steps=2, frames=6, model=[merge_pairs()])
    *_, before, after = counts(run)
    assert before - after == 2 * height * width


@pytest.mark.parametrize(
    "name", ["pocket", "wan21", "ltxv", "hunyuan_masked", "cogvideox", "mochi", "cosmos"]
)
def test_half_of_the_pairs_merge_by_similarity(host: ComfyServer, client: ComfyClient, name: str) -> None:
    family = FAMILIES[name]
    _, height, width = family.grid()
    half, run = sample_and_run(host, client, family, steps=2, model=[merge_similar(share=0.5)])
    found, calls, *_, before, after = counts(run)
    assert torch.isfinite(half).all()
    assert found == calls
    assert before - after == height * width
    assert not torch.equal(half, sample(host, client, family, steps=2, model=[merge_pairs()]))


@pytest.mark.parametrize("name", ["pocket", "wan21"])
def test_videos_of_a_batch_do_not_influence_each_other(
    host: ComfyServer, client: ComfyClient, name: str
) -> None:
    family, model = FAMILIES[name], [merge_similar(threshold=0.1, share=0.7)]
    alone = sample(host, client, family, steps=2, model=model)
    batch = sample(host, client, family, steps=2, model=model, batch_size=2)
    assert_close(batch[:1], alone, 1e-4)


def test_outside_its_window_the_model_is_as_without_the_node(host: ComfyServer, client: ComfyClient) -> None:
    family = FAMILIES["wan21"]
    idle, run = sample_and_run(host, client, family, steps=2, model=[merge_pairs(start=0.98, end=0.99)])
    assert torch.equal(idle, sample(host, client, family, steps=2))
    assert said(run, "Merged nothing: no step lies between start_percent and end_percent")
    assert "Temporal Token Merge: Merged nothing: no step lies" in host.log_path.read_text(encoding="utf-8")


def test_a_threshold_that_nothing_reaches_is_told(host: ComfyServer, client: ComfyClient) -> None:
    family = FAMILIES["wan21"]
    same, run = sample_and_run(host, client, family, steps=2, model=[merge_similar(threshold=1.0, share=1.0)])
    assert torch.equal(same, sample(host, client, family, steps=2))
    assert said(run, "no pair of tokens is as similar as the threshold asks")


@pytest.mark.parametrize("model", [[COMPILE, merge_pairs(end=0.5)], [merge_pairs(end=0.5), COMPILE]])
def test_a_compiled_model_merges_in_its_window_and_not_outside(
    host: ComfyServer, client: ComfyClient, model: list
) -> None:
    family = FAMILIES["wan21"]
    plain = sample(host, client, family, steps=4, model=[COMPILE])
    merged, run = sample_and_run(host, client, family, steps=4, model=model)
    again = sample(host, client, family, steps=4, model=[COMPILE], sigmas=[node("SplitSigmas", step=4)])

    assert counts(run)[:5] == (4, 4, 1, 2, 4)
    assert_close(merged, sample(host, client, family, steps=4, model=[merge_pairs(end=0.5)]))
    assert torch.equal(plain, again)


def test_guides_of_less_than_full_weight(host: ComfyServer, client: ComfyClient) -> None:
    """LTX-Video then computes the video's queries and the guides' in two masked calls."""
    family = FAMILIES["ltxv_guide"]
    install(host)
    outputs = []
    for model in ([], [merge_pairs()]):
        graph = sample_graph(family, steps=2, model=model)
        graph[GIVEN]["inputs"]["strength"] = 0.5
        run = client.run(graph).require_success()
        outputs.append(read_latent(host, run))
    found, calls, *_, before, after = counts(run)
    _, height, width = family.grid()
    assert found == calls >= family.self_attention + family.cross_attention
    assert before - after == 2 * height * width
    assert torch.isfinite(outputs[1]).all()
    assert not torch.equal(*outputs)


def test_a_second_merge_on_the_same_model_is_refused(host: ComfyServer, client: ComfyClient) -> None:
    install(host)
    run = client.run(sample_graph(FAMILIES["wan21"], model=[merge_pairs(), merge_pairs()]))
    assert "passed Temporal Token Merge before" in message(run)


def test_two_merges_of_the_same_settings_each_tell_what_they_did(
    host: ComfyServer, client: ComfyClient
) -> None:
    """ComfyUI's cache would otherwise give the second node the first one's model, which tells the first."""
    install(host)
    graph = sample_graph(FAMILIES["pocket"], model=[merge_pairs()], prefix="latents/merge-first")
    graph["150"] = graph["100"]
    graph["151"] = node("CFGGuider", **{**graph[GUIDER]["inputs"], "model": ["150", 0]})
    graph["152"] = node("SamplerCustomAdvanced", **{**graph[SAMPLED]["inputs"], "guider": ["151", 0]})
    graph["153"] = save_latent("latents/merge-second", ("152", 0))["9"]
    run = client.run(graph).require_success()
    told = {event.data["node"] for event in run.of_type("progress_text") if "Merged" in event.data["text"]}
    assert told == {"100", "150"}


def test_a_window_that_is_empty_is_refused(client: ComfyClient, host: ComfyServer) -> None:
    install(host)
    with pytest.raises(PromptRejected, match="start_percent must be less than end_percent"):
        client.run(sample_graph(FAMILIES["wan21"], model=[merge_pairs(start=0.5, end=0.5)]))
