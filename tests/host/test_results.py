"""A video that the device made alone comes back to ComfyUI, and opens there as the workflow that made it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from comfyui_pocketvideo.pocketvideo.export.editor import to_prompt

from demo.device import ReferenceDevice, desk, forget_all
from host.client import ComfyClient
from host.desk import wait_for_send
from host.graphs import MODEL
from host.pocket import install_random_model, psnr
from host.server import REPOSITORY, ComfyServer

JSON = dict[str, Any]
PATIENCE_SECONDS = 60.0


@pytest.fixture
def device(host: ComfyServer, client: ComfyClient, tmp_path: Path) -> Iterator[ReferenceDevice]:
    """A paired device that waits for work."""
    install_random_model(host)
    forget_all(client)
    with ReferenceDevice(tmp_path / "home", tmp_path / "device.log") as device:
        device.pair(client, lambda: None)
        device.run()
        yield device
    forget_all(client)


def short_quickstart() -> JSON:
    """The shipped quickstart as the editor saves it, small, and with the tests' model."""
    path = REPOSITORY / "workflows" / "quickstart.json"
    workflow: JSON = json.loads(path.read_text(encoding="utf-8"))
    for node in workflow["nodes"]:
        if node["type"] == "KSampler":
            node["widgets_values"][2] = 1
        elif node["type"] == "PocketVideoEmptyLatent":
            node["widgets_values"][:3] = [64, 64, 5]
        elif node["type"] == "PocketVideoModelLoader":
            node["widgets_values"][0] = MODEL
    return workflow


def test_a_result_made_alone_lands_in_the_output_folder_and_runs_again_from_its_file(
    host: ComfyServer, client: ComfyClient, device: ReferenceDevice
) -> None:
    workflow = short_quickstart()
    body = {"prompt": to_prompt(workflow), "workflow": workflow, "name": "Alone"}
    send_id = desk(client, "POST", "/sends", body)["send_id"]
    assert wait_for_send(client, send_id)["state"] == "done"
    device.rest()
    before = len(desk(client, "GET", "/results")["results"])
    desk(client, "POST", "/bridge/stop", {})
    (bundle,) = (device.home / "store" / "bundles").iterdir()
    made = device.home / "alone.mp4"
    given = ("--prompt", "a yellow ring grows", "--seed", str(2**63 + 9))
    device.call("make", bundle.name, *given, "--out", str(made))
    desk(client, "POST", "/bridge/start", {})
    with client.events() as page:
        device.call("send-back")
        event = page.next(PATIENCE_SECONDS)
        while event is not None and event.type != "pocketvideo.results":
            event = page.next(PATIENCE_SECONDS)
    assert event is not None, "no page heard of the result"
    result = wait_for_result(client, before)
    assert result == event.data["results"][0]
    assert result["device_name"] == "Reference device"
    assert result["values"]["prompt"] == "a yellow ring grows"
    path = host.output / result["file"]["subfolder"] / result["file"]["filename"]
    assert path.parent == host.output / "video"
    with av.open(str(path)) as video:
        tags = {name: json.loads(video.metadata[name]) for name in ("prompt", "workflow")}
    assert np.array_equal(frames_of(path), frames_of(made))

    # What the page would queue when the file is dropped on it makes the same video here.
    prompt = to_prompt(tags["workflow"])
    assert prompt == tags["prompt"]
    (sampler,) = [node for node in prompt.values() if node["class_type"] == "KSampler"]
    assert sampler["inputs"]["seed"] == 2**63 + 9
    run = client.run(prompt).require_success()
    (saved,) = run.files
    ours = host.output / saved.subfolder / saved.filename
    # Two encoders of one picture, which random weights make of noise: hard on encoders.
    assert psnr(frames_of(ours), frames_of(path)) >= 25


def wait_for_result(client: ComfyClient, before: int) -> JSON:
    """The newest result, once there are more than before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        results = desk(client, "GET", "/results")["results"]
        if len(results) > before:
            return dict(results[0])
        time.sleep(0.1)
    raise AssertionError("the result did not come")


def frames_of(path: Path) -> np.ndarray[Any, Any]:
    """Frames uint8 `[T, H, W, 3]` of an MP4."""
    with av.open(str(path)) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
