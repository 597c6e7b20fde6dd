"""The command line as people use it: real processes on both sides, TLS between them, a real model."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 180.0


@dataclass
class Place:
    """A desk's state folder and a device's home, with the device's process while it runs."""

    folder: Path
    agents: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *arguments: str) -> list[str]:
        state = str(self.folder / "state")
        return [sys.executable, "-m", "comfyui_pocketvideo", "--state", state, *arguments]

    def agent(self, *arguments: str) -> list[str]:
        module = "comfyui_pocketvideo.mobile_runtime.agent"
        return [sys.executable, "-m", module, "--home", str(self.folder / "device"), *arguments]

    def call(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of the desk and check its exit status."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pair(self, answer: str = "y") -> tuple[str, str]:
        """Pair by the address that the terminal shows; gives the output of desk and device."""
        desk = self.start(self.command("pair"))
        shown = read_until(desk, r"https://\S+\s")
        uri = re.search(r"https://\S+", shown)
        assert uri is not None
        device = self.start(self.agent("pair", "-", "--name", "Shelf box"))
        assert device.stdin is not None
        device.stdin.write(uri.group() + "\n")
        device.stdin.flush()
        asked = read_until(desk, r"same\? \[y/N\]")
        told = read_until(device, r"code: \d{3} \d{3}")
        codes = [re.findall(r"\b(\d{3} \d{3})\b", text)[-1] for text in (asked, told)]
        assert codes[0] == codes[1]
        more, _ = desk.communicate(answer + "\n", timeout=PATIENCE_SECONDS)
        end, _ = device.communicate(timeout=PATIENCE_SECONDS)
        return shown + asked + more, told + end


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What a process says until something of this pattern came."""
    assert process.stdout is not None
    text, until = "", time.monotonic() + PATIENCE_SECONDS
    while not re.search(pattern, text):
        piece = process.stdout.read(1)
        assert piece and time.monotonic() < until, text
        text += piece
    return text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A desk and a device that is paired with it and waits for work."""
    made = Place(tmp_path_factory.mktemp("cli"))
    desk, device = made.pair()
    assert "is paired." in desk
    assert "Paired with" in device
    agent = made.start(made.agent("run"))
    yield made
    agent.terminate()
    agent.communicate(timeout=30)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped quickstart, short, as the editor saves it."""
    document = json.loads((REPOSITORY / "workflows" / "quickstart.json").read_text(encoding="utf-8"))
    for node in document["nodes"]:
        if node["type"] == "KSampler":
            node["widgets_values"][2] = 1
        elif node["type"] == "PocketVideoEmptyLatent":
            node["widgets_values"][:3] = [64, 64, 5]
    path = tmp_path_factory.mktemp("workflow") / "short.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_paired_device_is_listed_renamed_and_chosen_by_its_new_name(place: Place) -> None:
    (device,) = json.loads(place.call("devices", "--json").stdout)
    assert device["kind"] == "agent"
    place.call("rename", device["device_id"], "Window box")
    assert "Window box" in place.call("devices").stdout
    refused = place.call("rename", "Attic box", "x", status=1)
    assert refused.stderr.startswith("No paired device is called 'Attic box' (paired: Window box (")


def test_a_workflow_is_planned_installed_and_not_sent_twice(place: Place, workflow: Path) -> None:
    planned = place.call("push", str(workflow), "--plan").stdout
    assert re.search(r"to send: about \d+\.\d of \d+\.\d MB", planned), planned
    assert "denoiser" in planned
    pushed = place.call("push", str(workflow))
    assert re.search(r" is on Window box, tested there \(self-test (exact|\d+ dB)\); ", pushed.stdout), pushed
    states = [line.partition(":")[0] for line in pushed.stderr.splitlines()]
    assert [state for state in states if state in ("planning", "exporting", "transferring", "testing")] == [
        "planning",
        "exporting",
        "transferring",
        "testing",
    ]
    held = subprocess.run(place.agent("list"), capture_output=True, text=True, check=True).stdout
    assert len(re.findall("^bundle ", held, re.MULTILINE)) == 1
    rates = json.loads((place.folder / "state" / "rates.json").read_text())
    assert rates["export"] > 0
    assert any(name.startswith("transfer/") for name in rates)
    again = place.call("push", str(workflow))
    assert "; 0.0 of" in again.stdout


def test_a_video_comes_back_with_its_workflow_in_it(place: Place, workflow: Path) -> None:
    out = place.folder / "video.mp4"
    given = ("--prompt", "a green star rises", "--seed", "18446744073709551615")
    done = place.call("run", str(workflow), *given, "--out", str(out))
    assert "5 frames of 64 x 64" in done.stdout
    with av.open(str(out)) as video:
        tags = {name: json.loads(value) for name, value in video.metadata.items() if name in TAGS}
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
    assert frames.shape == (5, 64, 64, 3)
    prompt, workflow_of_it = tags["prompt"], tags["workflow"]
    assert {node["class_type"]: node["inputs"] for node in prompt.values()}["KSampler"]["seed"] == 2**64 - 1
    assert widgets(workflow_of_it, "KSampler")[0] == 2**64 - 1
    assert ["a green star rises"] in [
        node["widgets_values"] for node in workflow_of_it["nodes"] if node["type"] == "CLIPTextEncode"
    ]
    assert sorted(path.name for path in place.folder.iterdir() if path.name.startswith(".")) == []


def test_what_cannot_be_run_is_one_sentence(place: Place, workflow: Path) -> None:
    out = str(place.folder / "no.mp4")
    told = place.call("run", str(workflow), "--value", "zoom=2", "--out", out, status=1).stderr
    assert "The workflow has no input 'zoom' to give: it has guidance, " in told
    assert "Traceback" not in told
    told = place.call("push", str(workflow), "--precision", "int3", status=1).stderr
    assert told.startswith("There is no precision 'int3'")


def test_a_folder_in_use_names_who_uses_it_and_is_left_alone(place: Place, workflow: Path) -> None:
    pairing = place.start(place.command("pair", "--no-qr"))
    try:
        read_until(pairing, r"https://\S+\s")
        told = place.call("push", str(workflow), status=1).stderr
        assert f"The command line (process {pairing.pid}) uses the folder" in told
        assert place.call("devices").returncode == 0
    finally:
        pairing.send_signal(signal.SIGINT)
        rest, _ = pairing.communicate(timeout=30)
    assert pairing.returncode == 130
    assert "Traceback" not in rest


def test_t16_nothing_secret_is_kept_or_shown_after_pairing(place: Place) -> None:
    pairing: Any = json.loads((place.folder / "device" / "device.json").read_text())
    token = pairing["desks"][0]["token"]
    assert len(token) >= 32
    for path in (place.folder / "state").rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path


def test_a_revoked_device_is_gone_and_one_that_differs_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    desk, device = place.pair(answer="n")
    assert "was turned away" in desk
    assert "Paired with" not in device
    desk, _ = place.pair()
    place.call("revoke", "Shelf box")
    assert place.call("devices", status=1).stderr.startswith("No device is paired yet")


def widgets(workflow: dict[str, Any], kind: str) -> list[Any]:
    (node,) = [node for node in workflow["nodes"] if node["type"] == kind]
    values: list[Any] = node["widgets_values"]
    return values


TAGS = ("prompt", "workflow", "pocketvideo")
