"""Sending from ComfyUI's page, on the real host and to the real agent in its own process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.device import ReferenceDevice, desk, forget_all
from host.client import ComfyClient, RequestFailed
from host.desk import TARGET, find_send, sendable, wait_for_send
from host.events import Event, in_order
from host.pocket import install_random_model, message
from host.server import ComfyServer

JSON = dict[str, Any]


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


@pytest.mark.usefixtures("device")
def test_a_send_is_planned_goes_through_its_stages_and_every_page_hears_of_it(client: ComfyClient) -> None:
    graph = sendable(steps=2)
    plan = desk(client, "POST", "/sends/plan", {"prompt": graph})
    assert plan["fits"]
    assert plan["problems"] == []
    assert plan["device_name"] == "Reference device"
    assert {part["kind"] for part in plan["components"]} == {"text_encoder", "denoiser", "vae_decoder"}
    assert plan["total_bytes"] >= plan["send_bytes"] > 1_000_000
    assert plan["seconds"] > 0
    assert plan["memory_bytes"] > plan["least_memory_bytes"] > 0
    assert {"prompt", "seed", "steps"} <= {item["name"] for item in plan["inputs"]}

    seen: list[JSON] = []
    with client.events() as page:
        send_id = desk(client, "POST", "/sends", {"prompt": graph, "name": "Red circle"})["send_id"]
        send = wait_for_send(client, send_id, seen=seen)
        told = [event for event in events_until(page, 3.0) if event.type == "pocketvideo.sends"]
    assert send["state"] == "done", send
    assert send["name"] == "Red circle"
    assert send["fraction"] == 1.0
    assert send["bytes_sent"] == send["total_bytes"] > 1_000_000
    states = list(dict.fromkeys(item["state"] for item in seen))
    assert states == [state for state in STATES if state in states]
    assert "exporting" in states
    fractions = [item["fraction"] for item in seen]
    assert fractions == sorted(fractions)
    heard = [item["state"] for event in told for item in event.data["sends"] if item["send_id"] == send_id]
    assert heard[-1] == "done"
    assert len(set(heard)) > 2

    # What the agent measured when it installed, which a passed self-test has.
    assert send["self_test"] is not None
    assert send["self_test"]["psnr"] is None or send["self_test"]["psnr"] > 40

    (kept,) = wait_for_bundles(client)
    assert kept["bytes"] > 1_000_000
    again = desk(client, "POST", "/sends/plan", {"prompt": graph})
    assert again["exact"]
    # The networks are there; at most the list of files and the workflow differ.
    assert again["send_bytes"] < 20_000


@pytest.mark.usefixtures("device")
def test_the_node_sends_as_the_page_does_and_gives_a_line(client: ComfyClient) -> None:
    graph = sendable(steps=1)
    graph[TARGET]["inputs"]["name"] = "From the graph"
    graph["61"] = {"class_type": "PreviewAny", "inputs": {"source": [TARGET, 0]}}
    run = client.run(graph, timeout=900).require_success()
    executed = {event.data["node"] for event in run.of_type("executing") if event.data["node"]}
    assert executed == {TARGET, "61"}
    (line,) = run.outputs[TARGET]["text"]
    said = r"From the graph is on Reference device, tested there \(self-test (exact|\d+ dB)\); [\d.]+ MB sent"
    assert re.fullmatch(said, line), line
    assert run.outputs["61"]["text"] == [line]
    values = [event.data["value"] for event in run.of_type("progress") if event.data["node"] == TARGET]
    assert values == sorted(values)
    # Of the bar the host shows at most ten values a second; of the lines, every one.
    told = [event.data["text"] for event in run.of_type("progress_text") if event.data["node"] == TARGET]
    stages = ["queued", "Reading the workflow", "Waiting for Reference device"]
    assert in_order([*stages, "checking every file's SHA-256", line], told)
    newest = desk(client, "GET", "/sends")["sends"][0]
    assert (newest["name"], newest["state"]) == ("From the graph", "done")


@pytest.mark.usefixtures("device")
def test_stopping_the_node_cancels_the_send_and_a_retry_goes_on(client: ComfyClient) -> None:
    stopped: list[str] = []

    def stop(event: Event) -> None:
        busy = event.type == "progress" and event.data["node"] == TARGET and event.data["value"] > 0
        if busy and not stopped:
            stopped.append(event.data["prompt_id"])
            client.interrupt(stopped[0])

    graph = sendable(steps=1, side=96)
    graph[TARGET]["inputs"]["precision"] = "fp32"
    assert client.run(graph, timeout=900, on_event=stop).status == "interrupted"
    send_id = desk(client, "GET", "/sends")["sends"][0]["send_id"]
    assert wait_for_send(client, send_id)["state"] == "cancelled"
    desk(client, "POST", "/sends/retry", {"send_id": send_id})
    assert wait_for_send(client, send_id)["state"] == "done"
    with pytest.raises(RequestFailed):
        desk(client, "POST", "/sends/cancel", {"send_id": "0" * 16})
    desk(client, "POST", "/sends/clear", {"send_id": send_id})
    assert send_id not in [send["send_id"] for send in desk(client, "GET", "/sends")["sends"]]


def test_a_send_waits_for_a_device_that_is_away_and_holds_nobody_up(
    client: ComfyClient, device: ReferenceDevice
) -> None:
    device.rest()
    first = desk(client, "POST", "/sends", {"prompt": sendable(steps=3)})["send_id"]
    second = desk(client, "POST", "/sends", {"prompt": sendable(steps=4)})["send_id"]
    for send_id in (first, second):
        wait_for_send(client, send_id, lambda send: send["state"] == "waiting")
    desk(client, "POST", "/sends/cancel", {"send_id": first})
    assert wait_for_send(client, first)["state"] == "cancelled"
    # Turned off and on again, the bridge still has it.
    desk(client, "POST", "/bridge/stop", {})
    time.sleep(0.5)
    assert find_send(client, second)["state"] == "waiting"
    desk(client, "POST", "/bridge/start", {})
    device.run()
    assert wait_for_send(client, second)["state"] == "done"


@pytest.mark.usefixtures("device")
def test_what_fails_says_so_in_one_sentence(client: ComfyClient) -> None:
    graph = sendable()
    graph["70"] = {
        "class_type": "ImageInvert",
        "inputs": {"image": ["6", 0]},
        "_meta": {"title": "Turn round"},
    }
    graph[TARGET]["inputs"]["images"] = ["70", 0]
    with pytest.raises(RequestFailed) as refused:
        desk(client, "POST", "/sends/plan", {"prompt": graph})
    assert "Turn round" in refused.value.body["error"]
    send_id = desk(client, "POST", "/sends", {"prompt": graph})["send_id"]
    send = wait_for_send(client, send_id)
    assert send["state"] == "failed"
    assert "Turn round" in send["error"]
    assert "Turn round" in message(client.run(graph))


def test_t16_no_secret_reaches_history_logs_sends_or_the_state_folder(
    host: ComfyServer, client: ComfyClient, device: ReferenceDevice
) -> None:
    offer = desk(client, "POST", "/pair", {})
    desk(client, "POST", "/pair/cancel", {})
    run = client.run(sendable(steps=1), timeout=900).require_success()
    pairing = json.loads((device.home / "device.json").read_text())
    secrets = [entry["token"] for entry in pairing["desks"]]
    secrets += [offer["code"], offer["uri"].partition("#s=")[2].partition("&")[0]]
    assert all(len(secret) >= 8 for secret in secrets)
    seen = host.log() + json.dumps(client.history(run.prompt_id)) + json.dumps(client.object_info())
    for route in ("/devices", "/sends", "/settings", "/results", "/pending"):
        seen += json.dumps(desk(client, "GET", route))
    for secret in secrets:
        assert secret not in seen
    for folder in (host.base / "pocketvideo-state", host.output, host.base / "user", host.base / "temp"):
        for path in folder.rglob("*"):
            held = path.read_bytes() if path.is_file() else b""
            assert not any(secret.encode() in held for secret in secrets), path


def test_a_restart_shows_the_send_as_interrupted_and_it_goes_on(
    host: ComfyServer, model: Path, tmp_path: Path
) -> None:
    server = ComfyServer(tmp_path / "comfyui")
    # What the other tests exported is found by its content.
    (server.base / "pocketvideo-state").mkdir(parents=True)
    (server.base / "pocketvideo-state" / "exports").symlink_to(host.base / "pocketvideo-state" / "exports")
    with ReferenceDevice(tmp_path / "home", tmp_path / "device.log") as device:
        try:
            client = server.start().client()
            place = server.models / "pocketvideo"
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model, place / model.name)
            device.pair(client, lambda: None)
            send_id = desk(client, "POST", "/sends", {"prompt": sendable(steps=2)})["send_id"]
            wait_for_send(client, send_id, lambda send: send["state"] == "waiting")
            # As a power cut would end it: nothing is written any more.
            os.kill(server.pid, signal.SIGKILL)
            server.stop()
            client = server.start().client()
            assert find_send(client, send_id)["state"] == "interrupted"
            device.run()
            desk(client, "POST", "/sends/retry", {"send_id": send_id})
            assert wait_for_send(client, send_id)["state"] == "done"
        finally:
            server.stop()


STATES = ("queued", "planning", "exporting", "waiting", "transferring", "testing", "done")


def events_until(page: Any, seconds: float) -> Iterator[Event]:
    """Events that came until none came for so long."""
    while (event := page.next(seconds)) is not None:
        yield event


def wait_for_bundles(client: ComfyClient) -> list[JSON]:
    """What the one device says that it holds, once it says something."""
    done = threading.Event()
    for _ in range(200):
        (device,) = desk(client, "GET", "/devices")["devices"]
        if device["bundles"]:
            return list(device["bundles"])
        done.wait(0.1)
    raise AssertionError("the device never said what it holds")
