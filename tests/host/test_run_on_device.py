"""Run on Device on the real host, with the real agent in its own process and environment."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Home
from PIL import Image, ImageSequence

from demo.device import ReferenceDevice, desk, forget_all
from host.client import ComfyClient
from host.events import Event, in_order
from host.graphs import FRAMES, SAMPLED, SAVE, image_to_video, node, text_to_video
from host.leap_graphs import REPORT, with_leap
from host.leap_graphs import graph as sampling
from host.pocket import install_random_model, message, psnr, read_frames, read_video
from host.server import ComfyServer
from unit.bridge.client import Client, client_for
from unit.bridge.conftest import wait_for

JSON = dict[str, Any]
RUN = "60"


@pytest.fixture(autouse=True)
def model(host: ComfyServer) -> Path:
    return install_random_model(host)


@pytest.fixture(scope="module")
def device(host: ComfyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceDevice]:
    """A paired device that waits for work."""
    client = host.client()
    forget_all(client)
    folder = tmp_path_factory.mktemp("device")
    with ReferenceDevice(folder / "home", folder / "device.log") as device:
        device.pair(client, lambda: None)
        device.run()
        yield device
    forget_all(client)


def running(graph: JSON, **widgets: Any) -> JSON:
    """The graph with its frames sent to the device, instead of its video saved here."""
    kept = {key: value for key, value in graph.items() if key not in ("7", SAVE)}
    chosen = {"device": "the paired device", "fps": 12.0, "filename_prefix": "nodes/device", **widgets}
    return {
        **kept,
        RUN: node("PocketVideoRunOnDevice", images=[FRAMES, 0], **chosen),
        "61": node("SaveImage", images=[RUN, 0], filename_prefix="nodes/device-frame"),
    }


def here(graph: JSON) -> JSON:
    """The graph with its frames saved here without loss."""
    kept = {key: value for key, value in graph.items() if key not in ("7", SAVE)}
    return {**kept, "62": node("SaveImage", images=[FRAMES, 0], filename_prefix="nodes/desk-frame")}


@pytest.mark.usefixtures("device")
def test_the_device_makes_the_same_video_and_the_desk_makes_none(client: ComfyClient) -> None:
    graph = text_to_video("", seed=2**63 + 5, steps=2)
    run = client.run(running(graph), timeout=900).require_success()

    executed = {event.data["node"] for event in run.of_type("executing")}
    assert RUN in executed
    assert not executed & {SAMPLED, FRAMES}
    (saved,) = run.node_files(RUN)
    assert read_video(client.view(saved)).shape == (9, 64, 64, 3)
    bar = [event.data for event in run.of_type("progress") if event.data["node"] == RUN]
    assert bar[-1]["value"] == bar[-1]["max"]
    assert [data["value"] for data in bar] == sorted(data["value"] for data in bar)
    # Of the bar the host shows at most ten values a second; of the lines, every one.
    told = [event.data["text"] for event in run.of_type("progress_text") if event.data["node"] == RUN]
    stages = ["Reading the workflow", "The bundle is written", "checking every file's SHA-256"]
    assert in_order([*stages, "write_video: step 9 of 9", "sending the frames", "sending the report"], told)

    desk_run = client.run(here(graph)).require_success()
    theirs = read_frames(client, run.node_files("61"))
    ours = read_frames(client, desk_run.node_files("62"))
    assert theirs.shape == ours.shape == (9, 64, 64, 3)
    assert psnr(theirs, ours) >= 40


@pytest.mark.usefixtures("device")
def test_fixed_prompts_make_the_same_video_without_a_text_encoder(client: ComfyClient) -> None:
    graph = text_to_video("", seed=2**63 + 5, steps=2)
    runs = [
        client.run(running(graph, **more), timeout=900).require_success()
        for more in ({}, {"prompts": "fixed"})
    ]
    editable, fixed = (run.outputs[RUN]["pocketvideo"][0] for run in runs)

    assert fixed["bundle_bytes"] < editable["bundle_bytes"]
    # The networks were there; encoded prompts and the list of files are not.
    assert 0 < fixed["sent_bytes"] < 1_000_000
    frames = [read_frames(client, run.node_files("61")) for run in runs]
    assert psnr(*frames) >= 40


@pytest.mark.usefixtures("device")
def test_a_given_first_frame_is_the_same_on_the_device(client: ComfyClient) -> None:
    graph = image_to_video("", "none", seed=3, steps=2)
    graph["10"] = node(
        "PocketVideoExampleImage",
        colour="red",
        shape="star",
        background="navy",
        place_for="right",
        seed=1,
        size=96,
    )
    run = client.run(running(graph), timeout=900).require_success()
    desk_run = client.run(here(graph)).require_success()
    theirs = read_frames(client, run.node_files("61"))
    ours = read_frames(client, desk_run.node_files("62"))
    assert min(psnr(a, b) for a, b in zip(theirs, ours, strict=True)) >= 40


@pytest.mark.usefixtures("device")
def test_the_device_leaps_at_the_desks_step_to_the_same_video(client: ComfyClient) -> None:
    settings: dict[str, Any] = {"minimum": 0.25, "tolerance": 0.001, "patience": 2}
    sampled = with_leap(sampling("device", seed=41, steps=12), **settings)
    del sampled["9"]
    graph = {**sampled, FRAMES: text_to_video("")[FRAMES]}
    run = client.run(running(graph), timeout=900).require_success()
    desk_run = client.run(here(graph)).require_success()

    (record,) = desk_run.outputs[REPORT]["pocketvideo"][0]["runs"].values()
    (sent,) = run.outputs[RUN]["pocketvideo"]
    (step,) = record["leap_steps"]
    assert step is not None and 3 <= step < 11
    assert sent["device"]["leap_steps"] == {"latent": step}
    # Two prompts an evaluation.
    assert sent["device"]["evaluations"] == 2 * record["evaluations"] == 2 * (step + 1)
    theirs = read_frames(client, run.node_files("61"))
    ours = read_frames(client, desk_run.node_files("62"))
    assert psnr(theirs, ours) >= 40


def test_the_video_of_a_device_without_an_mp4_encoder_is_an_animated_webp(
    client: ComfyClient, device: ReferenceDevice
) -> None:
    """Played by hand, in the place of the agent, which has every encoder."""
    frames = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    device.rest()
    try:
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send_webp, client_for(Home(device.home).pairings()[0]), frames)
            run = client.run(running(text_to_video("", steps=1)), timeout=900).require_success()
            sent.result(30)
    finally:
        device.run()
    (saved,) = run.node_files(RUN)
    assert saved.filename.endswith(".webp")
    with Image.open(io.BytesIO(client.view(saved))) as picture:
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]
        assert json.loads(picture.getexif()[0x0110].removeprefix("prompt:"))[RUN]
    assert np.array_equal(np.stack(shown), frames)
    assert psnr(read_frames(client, run.node_files("61")), frames) >= 40


def send_webp(played: Client, frames: np.ndarray) -> None:
    """Take a run, and end it with these frames and a WebP of them."""
    job = wait_for(lambda: (answer := played.get("/v1/jobs/next?wait=5")).status == 200 and answer.json, 600)
    stills = [Image.fromarray(frame) for frame in frames]
    made = io.BytesIO()
    stills[0].save(made, "WEBP", save_all=True, append_images=stills[1:], lossless=True, duration=100)
    path = f"/v1/jobs/{job['job_id']}"
    parts = (
        ("frames?frames=3&height=64&width=64", frames.tobytes(), "application/octet-stream"),
        ("video", made.getvalue(), "image/webp"),
    )
    for name, data, kind in parts:
        assert played.send("PUT", f"{path}/result/{name}", data, {"Content-Type": kind}).status == 204
    assert played.send("POST", f"{path}/done", {"report": {}}).status == 204


@pytest.mark.usefixtures("device")
def test_stopping_reaches_the_device(client: ComfyClient) -> None:
    stopped: list[str] = []

    def stop(event: Event) -> None:
        busy = event.type == "progress" and event.data["node"] == RUN and event.data["value"] > 300
        if busy and not stopped:
            stopped.append(event.data["prompt_id"])
            client.interrupt(stopped[0])

    graph = text_to_video("", seed=21, steps=200)
    assert client.run(running(graph), timeout=900, on_event=stop).status == "interrupted"
    client.run(running(text_to_video("", seed=21, steps=1)), timeout=900).require_success()


def test_t16_the_devices_token_stays_with_the_device(
    host: ComfyServer, client: ComfyClient, device: ReferenceDevice
) -> None:
    run = client.run(running(text_to_video("", seed=22, steps=1)), timeout=900).require_success()

    pairing = json.loads((device.home / "device.json").read_text())
    secrets = [value for key, value in _items(pairing) if key == "token"]
    assert secrets
    assert all(len(secret) >= 32 for secret in secrets)
    seen = host.log() + json.dumps(client.history(run.prompt_id)) + json.dumps(client.object_info())
    seen += json.dumps(desk(client, "GET", "/devices"))
    (saved,) = run.node_files(RUN)
    video = client.view(saved)
    for secret in secrets:
        assert secret not in seen
        assert secret.encode() not in video
        for path in (host.base / "pocketvideo-state").rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_device_that_is_not_paired_is_one_sentence(client: ComfyClient, device: ReferenceDevice) -> None:
    text = message(client.run(running(text_to_video(""), device="Kitchen tablet (12ab)")))
    assert text.startswith("No paired device is called 'Kitchen tablet (12ab)' (paired: Reference device (")


def test_a_node_without_a_lowering_is_named(client: ComfyClient) -> None:
    graph = running(text_to_video(""))
    graph["70"] = {**node("ImageInvert", image=[FRAMES, 0]), "_meta": {"title": "Turn colours round"}}
    graph[RUN]["inputs"]["images"] = ["70", 0]
    text = message(client.run(graph))
    assert "Turn colours round" in text
    assert "70" in text
    assert "\n" not in text


@pytest.mark.parametrize("prefix", ["../../evil", "/tmp/evil", "a/../../evil"])
def test_t07_the_video_stays_in_the_output_folder(
    host: ComfyServer, client: ComfyClient, prefix: str
) -> None:
    text = message(client.run(running(text_to_video(""), filename_prefix=prefix)))
    assert "output folder: use a name such as video/device." in text
    assert "\n" not in text


def test_a_model_of_the_hub_must_be_here_before_it_is_sent(client: ComfyClient) -> None:
    graph = running(text_to_video(""))
    graph["1"]["inputs"] |= {
        "source": "Hugging Face Hub",
        "source.repository": "someone/model",
        "source.file": "x.safetensors",
        "source.revision": "0" * 40,
    }
    assert "x.safetensors of someone/model is not on this computer yet" in message(client.run(graph))


def _items(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                yield key, item
            yield from _items(item)
    elif isinstance(value, list):
        for item in value:
            yield from _items(item)
