"""Leap and Leap Report over HTTP: what a leap gives, and that no run leaks into another."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from host.client import ComfyClient, RunResult
from host.events import Event
from host.graphs import JSON, LATENT, LOADER, SAMPLED, node, save_latent
from host.leap_graphs import LEAP, NOISE, REPORT, SAMPLER, SIGMAS, STEP, STEPS, graph, with_leap
from host.pocket import install_random_model, message, read_latent
from host.server import ComfyServer


@pytest.fixture(autouse=True)
def model(host: ComfyServer) -> Path:
    return install_random_model(host)


def uncached(made: JSON) -> JSON:
    """The same sampling by another way, which the host would otherwise take from its cache."""
    made["45"] = node("LatentBatch", samples1=[LATENT, 0], samples2=[LATENT, 0])
    made["46"] = node("LatentFromBatch", samples=["45", 0], batch_index=0, length=1)
    made[SAMPLED]["inputs"]["latent_image"] = ["46", 0]
    return made


def report_of(run: RunResult) -> JSON:
    """What the report node gave to the frontend."""
    (data,) = run.outputs[REPORT]["pocketvideo"]
    return dict(data)


def lines(run: RunResult, node_id: str) -> list[str]:
    return [event.data["text"] for event in run.of_type("progress_text") if event.data["node"] == node_id]


def closed_form(host: ComfyServer, client: ComfyClient, prefix: str, **options: Any) -> torch.Tensor:
    """What a plain run shows last whose schedule ends behind the leap's step."""
    made = graph(prefix, **options)
    made["40"] = node("SplitSigmas", sigmas=[SIGMAS, 0], step=STEP + 1)
    made[SAMPLED]["inputs"]["sigmas"] = ["40", 0]
    made["9"]["inputs"]["samples"] = [SAMPLED, 1]
    return read_latent(host, client.run(made).require_success())


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "deis", "euler_ancestral", "heun"])
def test_a_leap_gives_the_closed_form_and_says_so(
    host: ComfyServer, client: ComfyClient, sampler: str
) -> None:
    made = with_leap(graph(f"{sampler}-leap", seed=21, sampler=sampler))
    made["41"] = save_latent(f"latents/leap-{sampler}-shown", (SAMPLED, 1))["9"]
    run = client.run(made).require_success()
    found, shown = _saved(host, run, "9"), _saved(host, run, "41")
    expected = closed_form(host, client, f"{sampler}-closed", seed=21, sampler=sampler)

    assert (found - expected).abs().max() < 1e-5 * max(1.0, float(expected.abs().max()))
    assert torch.equal(found, shown)
    (line,) = lines(run, LEAP)
    assert line.startswith(f"Leapt at step {STEP} of {STEPS} (sigma 0.")
    assert lines(run, REPORT) == [line]
    bar = [event.data for event in run.of_type("progress") if event.data["node"] == SAMPLED]
    assert [data["value"] for data in bar][-2:] == [STEP, STEPS]
    assert {data["max"] for data in bar} == {STEPS}
    previews = [event for event in run.of_type("preview") if event.data.get("node_id") == SAMPLED]
    assert len(previews) == STEP + 1
    state = run.of_type("progress_state")[-1].data["nodes"][SAMPLED]
    assert state["value"] == state["max"] and state["state"] == "finished"


def test_a_bypassed_leap_and_one_that_never_comes_are_as_if_there_were_none(
    host: ComfyServer, client: ComfyClient
) -> None:
    for sampler in ("dpmpp_2m", "euler_ancestral"):
        plain = read_latent(host, client.run(graph("plain", seed=22, sampler=sampler)).require_success())
        made = with_leap(graph("never", seed=22, sampler=sampler), step=STEPS)
        run = client.run(made).require_success()
        assert torch.equal(read_latent(host, run), plain)
        (line,) = lines(run, LEAP)
        assert (
            line
            == f"Did not leap because step {STEPS} is not before the last of {STEPS} steps, counted from 0."
        )
    # ComfyUI links past a bypassed node; the report then has a sampler that never leaps.
    made = with_leap(graph("bypassed", seed=22, sampler="dpmpp_2m"))
    del made[LEAP]
    for key in (SAMPLED, REPORT):
        made[key]["inputs"]["sampler"] = [SAMPLER, 0]
    run = client.run(made).require_success()
    assert report_of(run)["runs"] == {}
    assert report_of(run)["summary"].startswith("This sampler does not come from Leap")


def test_the_report_has_the_numbers_and_a_picture(host: ComfyServer, client: ComfyClient) -> None:
    made = with_leap(graph("report", seed=23, steps=12), minimum=0.5, tolerance=0.001, patience=2)
    made["9"]["inputs"]["samples"] = [REPORT, 0]
    made["37"] = node("SaveImage", images=[REPORT, 1], filename_prefix="leap/plot")
    made["36"] = node("PreviewAny", source=[REPORT, 2])
    run = client.run(made).require_success()

    report = report_of(run)
    record = report["runs"][SAMPLED]
    assert record["config"] == {"mode": "adaptive", "minimum": 0.5, "tolerance": 0.001, "patience": 2}
    assert record["approximate"] is False and record["finished"] is True
    assert record["steps"] == 12 and len(record["sigmas"]) == 13
    (step,) = record["leap_steps"]
    assert step is not None and 6 <= step < 11
    assert record["evaluations"] == step + 1 and record["evaluations_saved"] == 11 - step
    assert record["leap_sigmas"] == [pytest.approx(record["sigmas"][step])]
    assert record["measured_steps"] == list(range(1, step + 1))
    assert all(-1 <= value <= 1 for value in record["similarities"][0])
    assert run.outputs[REPORT]["text"] == [report["summary"]] == [record["summary"]]
    assert json.loads(run.outputs["36"]["text"][0]) == report
    (preview,), (saved,) = run.node_files(REPORT), run.node_files("37")
    pictures = [Image.open(io.BytesIO(client.view(file))).convert("RGB") for file in (preview, saved)]
    assert pictures[0].size == pictures[1].size == (960, 380)
    pixels = np.asarray(pictures[1]).reshape(-1, 3)
    # The line's blue, and the green of what was saved.
    assert (np.abs(pixels.astype(int) - (0, 114, 178)).max(axis=1) < 8).sum() > 100
    assert (np.abs(pixels.astype(int) - (234, 240, 233)).max(axis=1) < 3).sum() > 5000
    # The latent passes through.
    assert read_latent(host, run).shape == (1, 24, 3, 2, 2)


def test_two_samplers_may_share_a_leap(host: ComfyServer, client: ComfyClient) -> None:
    """Two stages of one schedule and a run of its own: three runs, none of which sees another."""
    alone = read_latent(host, client.run(with_leap(graph("alone", seed=24), step=1)).require_success())

    made = uncached(with_leap(graph("staged", seed=24), step=1))
    made["40"] = node("SplitSigmas", sigmas=[SIGMAS, 0], step=4)
    made["41"] = node("DisableNoise")
    made["42"] = node("SamplerCustomAdvanced", **{**made[SAMPLED]["inputs"], "noise": [NOISE, 0]})
    made[SAMPLED]["inputs"]["sigmas"] = ["40", 0]
    made["43"] = node(
        "SamplerCustomAdvanced",
        **{**made[SAMPLED]["inputs"], "noise": ["41", 0], "sigmas": ["40", 1], "latent_image": [SAMPLED, 0]},
    )
    made["9"]["inputs"]["samples"] = ["42", 0]
    made["44"] = save_latent("latents/leap-second", ("43", 0))["9"]
    made[REPORT]["inputs"]["samples"] = ["43", 0]
    run = client.run(made).require_success()

    # The first stage leapt to its own end, and the second finished from there: the same as one path of both.
    (one, two), report = (_saved(host, run, "9"), _saved(host, run, "44")), report_of(run)
    assert torch.equal(one, alone)
    assert torch.isfinite(two).all() and not torch.equal(one, two)
    assert 0.3 < two.std() / one.std() < 3
    # The report is about what its own latent came from.
    assert set(report["runs"]) == {SAMPLED, "43"}
    assert [record["leap_steps"] for record in report["runs"].values()] == [[1], [1]]
    assert [record["steps"] for record in report["runs"].values()] == [4, 4]
    assert report["runs"][SAMPLED]["sigmas"][-1] > 0 == report["runs"]["43"]["sigmas"][-1]
    assert len(run.node_files(REPORT)) == 2
    assert len(lines(run, LEAP)) == 3


def test_a_second_prompt_begins_anew(host: ComfyServer, client: ComfyClient) -> None:
    """The host keeps the SAMPLER object of an unchanged Leap from one prompt to the next."""
    settings: dict[str, Any] = {"minimum": 0.25, "tolerance": 0.001, "patience": 2}
    first = client.run(with_leap(graph("one", seed=25, steps=12), **settings)).require_success()
    client.run(with_leap(graph("two", seed=26, steps=20), **settings)).require_success()
    made = uncached(with_leap(graph("three", seed=25, steps=12), **settings))
    again = client.run(made).require_success()
    assert torch.equal(read_latent(host, first), read_latent(host, again))
    one, two = (report_of(run)["runs"][SAMPLED] for run in (first, again))
    assert one == two


def test_an_interrupted_run_leaves_nothing_behind(host: ComfyServer, client: ComfyClient) -> None:
    settings: dict[str, Any] = {"minimum": 0.9, "tolerance": 0.001, "patience": 3}
    prompts: list[str] = []

    def stop(event: Event) -> None:
        if event.type == "progress" and not prompts:
            prompts.append(event.data["prompt_id"])
            client.interrupt(prompts[0])

    stopped = client.run(with_leap(graph("stopped", seed=27, steps=400), **settings), on_event=stop)
    assert stopped.status == "interrupted"
    made = with_leap(graph("after", seed=28, steps=10), **settings)
    run = client.run(made).require_success()
    record = report_of(run)["runs"][SAMPLED]
    assert record["steps"] == 10 and record["finished"] is True
    assert record["measured_steps"] == list(range(1, record["evaluations"]))


def test_a_batch_leaps_video_by_video(host: ComfyServer, client: ComfyClient) -> None:
    run = client.run(
        with_leap(graph("batch", seed=29, steps=12, batch_size=2), minimum=0.3, tolerance=0.001, patience=2)
    ).require_success()
    record = report_of(run)["runs"][SAMPLED]
    assert len(record["leap_steps"]) == len(record["similarities"]) == 2
    assert record["similarities"][0] != record["similarities"][1]
    assert read_latent(host, run).shape[0] == 2


def test_sampler_custom_leaps_too(host: ComfyServer, client: ComfyClient) -> None:
    made = with_leap(graph("custom", seed=30))
    made[SAMPLED] = node(
        "SamplerCustom",
        model=[LOADER, 0],
        add_noise=True,
        noise_seed=30,
        cfg=3.0,
        positive=["2", 0],
        negative=["3", 0],
        sampler=[LEAP, 0],
        sigmas=[SIGMAS, 0],
        latent_image=[LATENT, 0],
    )
    found = read_latent(host, client.run(made).require_success())
    assert torch.allclose(found, closed_form(host, client, "custom-closed", seed=30), atol=1e-5)


def test_what_cannot_leap_is_one_sentence(client: ComfyClient) -> None:
    made = with_leap(graph("adaptive", seed=31, sampler="dpm_adaptive"))
    assert message(client.run(made)).startswith(
        "Leap cannot wrap dpm_adaptive, because it chooses its own steps"
    )
    made = with_leap(graph("twice", seed=31))
    made["40"] = node("PocketVideoLeap", sampler=[LEAP, 0], **{"mode": "fixed", "mode.step": 2})
    made[SAMPLED]["inputs"]["sampler"] = ["40", 0]
    assert message(client.run(made)).startswith("The sampler linked to Leap leaps already")


def test_a_report_before_its_run_says_what_to_link(client: ComfyClient) -> None:
    made = with_leap(graph("unrelated", seed=32))
    made[REPORT]["inputs"]["samples"] = [LATENT, 0]
    run = client.run(made).require_success()
    assert report_of(run)["summary"].startswith("None of the nodes before this latent sampled with this Leap")
    assert len(run.node_files(REPORT)) == 1


def _saved(host: ComfyServer, run: RunResult, node_id: str) -> torch.Tensor:
    only = RunResult(run.prompt_id, run.status, {node_id: run.outputs[node_id]}, [], 0.0)
    return read_latent(host, only)
