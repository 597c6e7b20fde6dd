"""Compare Videos and the acceleration templates in the real host."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from host.client import ComfyClient, RunResult
from host.graphs import FRAMES, JSON, LATENT, LOADER, SAMPLED, node, save_latent, text_to_video
from host.pocket import install_random_model, message, psnr, read_frames
from host.server import REPOSITORY, ComfyServer
from host.workflow import load_workflow, nodes_of, to_prompt

COMPARE = "40"
ACCELERATIONS = ("leap", "leap-and-merge")


@pytest.fixture(autouse=True)
def model(host: ComfyServer) -> Path:
    return install_random_model(host)


def two_videos(**changes: Any) -> JSON:
    """A video and one of fewer steps, compared; the pictures of everything saved."""
    # The shipped model: the frames of a random one differ by less than a saved picture resolves.
    graph = text_to_video("", seed=31, model="pocket_shapes.safetensors", steps=8)
    for key in ("7", "8"):
        del graph[key]
    graph["15"] = node("KSampler", **{**graph[SAMPLED]["inputs"], "steps": 3, **changes})
    graph["16"] = node("VAEDecode", samples=["15", 0], vae=[LOADER, 2])
    graph[COMPARE] = compare([FRAMES, 0], ["16", 0])
    graph["50"] = node("SaveImage", images=[FRAMES, 0], filename_prefix="compare/base")
    graph["51"] = node("SaveImage", images=["16", 0], filename_prefix="compare/fast")
    graph["52"] = node("SaveImage", images=[COMPARE, 0], filename_prefix="compare/sheet")
    graph["53"] = node("SaveImage", images=[COMPARE, 1], filename_prefix="compare/plot")
    graph["54"] = node("PreviewAny", source=[COMPARE, 2])
    return graph


def compare(base: list[Any], accelerated: list[Any], **changes: Any) -> JSON:
    values = {"base_name": "Base", "accelerated_name": "Fewer steps", "columns": 4, **changes}
    return node("PocketVideoCompareVideos", base=base, accelerated=accelerated, **values)


def texts(run: RunResult) -> dict[str, str]:
    """The last line of text that each node showed."""
    return {event.data["node"]: event.data["text"] for event in run.of_type("progress_text")}


def picture(client: ComfyClient, run: RunResult, key: str) -> Image.Image:
    (saved,) = run.node_files(key)
    return Image.open(io.BytesIO(client.view(saved))).convert("RGB")


def test_the_numbers_are_those_of_the_saved_frames(client: ComfyClient) -> None:
    run = client.run(two_videos()).require_success()
    base, fast = (read_frames(client, run.node_files(key)) for key in ("50", "51"))
    told = json.loads(run.outputs["54"]["text"][0])

    assert told["frames"] == len(base) == 9
    assert told["psnr_db"]["clip"] == pytest.approx(psnr(base, fast), abs=0.05)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    structure = [structural_similarity(a, b, **options) for a, b in zip(base, fast, strict=True)]
    assert told["ssim"]["clip"] == pytest.approx(np.mean(structure), abs=2e-3)
    steps = [np.abs(np.diff(clip.astype(float), axis=0)).mean() / 255 for clip in (base, fast)]
    assert told["motion"]["ratio"] == pytest.approx(steps[1] / steps[0], rel=0.05)
    assert run.outputs[COMPARE]["pocketvideo"] == [told]
    assert texts(run)[COMPARE] == told["summary"]
    assert told["summary"].startswith(f"PSNR {told['psnr_db']['clip']:.1f} dB, SSIM ")


def test_the_node_shows_sheet_and_plot_as_one_picture(client: ComfyClient) -> None:
    run = client.run(two_videos(seed=32)).require_success()
    sheet, plot = picture(client, run, "52"), picture(client, run, "53")
    shown = picture(client, run, COMPARE)

    assert shown.size == (max(sheet.width, plot.width), sheet.height + plot.height)
    assert np.array_equal(np.asarray(shown)[: sheet.height, : sheet.width], np.asarray(sheet))


def test_the_same_video_twice_is_equal(client: ComfyClient) -> None:
    graph = {key: value for key, value in two_videos().items() if key not in ("15", "16", "51")}
    graph[COMPARE] = compare([FRAMES, 0], [FRAMES, 0])
    run = client.run(graph).require_success()
    assert texts(run)[COMPARE] == "Equal in every pixel of every frame"


def test_one_picture_is_compared_as_one_frame(client: ComfyClient) -> None:
    graph = {
        "1": node("EmptyImage", width=64, height=48, batch_size=1, color=0x808080),
        "2": node("EmptyImage", width=64, height=48, batch_size=1, color=0x707070),
        COMPARE: compare(["1", 0], ["2", 0]),
    }
    run = client.run(graph).require_success()
    assert texts(run)[COMPARE].startswith("PSNR 24.0 dB, SSIM 0.9")


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"batch_size": 5}, "The base clip has 9 frames and the accelerated one 5: frames are compared"),
        ({"width": 32}, "The base clip is 64 x 64 pixels .* and the accelerated one 32 x 64 pixels"),
    ],
    ids=["length", "size"],
)
def test_videos_that_do_not_fit_are_named(client: ComfyClient, other: JSON, sentence: str) -> None:
    size = {"width": 64, "height": 64, "batch_size": 9, "color": 0}
    graph = {
        "1": node("EmptyImage", **size),
        "2": node("EmptyImage", **{**size, **other}),
        COMPARE: compare(["1", 0], ["2", 0]),
    }
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(message(client.run(graph)))


@pytest.mark.parametrize("name", ACCELERATIONS)
def test_the_acceleration_templates_run_and_measure_themselves(client: ComfyClient, name: str) -> None:
    """As shipped, with the shipped model: every step against the acceleration, from one seed."""
    prompt = to_prompt(load_workflow(REPOSITORY / "workflows" / f"{name}.json"), client.object_info())
    run = client.run(prompt).require_success()
    shown = texts(run)

    (compared,) = nodes_of(prompt, "PocketVideoCompareVideos")
    measured = run.outputs[compared]["pocketvideo"][0]
    assert not measured["equal"]
    assert measured["psnr_db"]["clip"] > 15, measured["summary"]
    (leap,) = nodes_of(prompt, "PocketVideoLeap")
    (report,) = nodes_of(prompt, "PocketVideoLeapReport")
    assert shown[leap] == shown[report]
    assert "evaluations saved" in shown[leap]
    for merge in nodes_of(prompt, "PocketVideoTemporalTokenMerge"):
        assert shown[merge].startswith("Merged ")
        assert "nothing" not in shown[merge]
    assert len(nodes_of(prompt, "PocketVideoTemporalTokenMerge")) == (name == "leap-and-merge")


def test_another_leap_node_is_told_of_its_own_run(client: ComfyClient) -> None:
    """ComfyUI caches by inputs: the line must not go to the node that had the same ones in another prompt."""

    def graph(leap: str) -> JSON:
        made = text_to_video("", seed=33)
        inputs = made[SAMPLED]["inputs"]
        made |= {
            "30": node("RandomNoise", noise_seed=33),
            "31": node(
                "CFGGuider", model=[LOADER, 0], positive=["2", 0], negative=["3", 0], cfg=inputs["cfg"]
            ),
            "32": node("KSamplerSelect", sampler_name="euler"),
            "33": node("BasicScheduler", model=[LOADER, 0], scheduler="simple", steps=4, denoise=1.0),
            leap: node("PocketVideoLeap", sampler=["32", 0], mode="fixed", **{"mode.step": 1}),
            SAMPLED: node(
                "SamplerCustomAdvanced",
                noise=["30", 0],
                guider=["31", 0],
                sampler=[leap, 0],
                sigmas=["33", 0],
                latent_image=[LATENT, 0],
            ),
            **save_latent("compare/leap"),
        }
        return {key: value for key, value in made.items() if key not in (FRAMES, "7", "8")}

    for leap in ("34", "35"):
        assert leap in texts(client.run(graph(leap)).require_success())
