"""The demo's parts: the two prompts it makes of one workflow, its measure, its picture and its report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from demo import prompts
from demo.errors import DemoError
from demo.frames import EQUAL, agreement, contact_sheet
from demo.report import Report
from demo.stages import StageTimes
from host.events import Event, parse_binary
from host.graphs import FRAMES, LATENT, LOADER, SAMPLED, SAVE, image_to_video, text_to_video
from host.workflow import nodes_of


def test_the_workflow_tells_what_both_sides_share() -> None:
    source = prompts.inspect(text_to_video("x", seed=11, steps=4))

    assert source.frames == [FRAMES, 0]
    assert (source.video, source.sampler, source.seed, source.steps) == (SAVE, SAMPLED, 11, 4)
    assert source.text == "a red circle moves left"


def test_the_prompt_text_is_found_behind_a_first_frame() -> None:
    assert prompts.inspect(image_to_video("x", "photo.png")).text == "a red circle moves left"


def test_the_desktop_keeps_the_workflow_and_its_frames() -> None:
    graph = text_to_video("x")
    made = prompts.desktop_prompt(graph, prompts.inspect(graph))

    assert made.pop(prompts.FRAMES_ID)["inputs"]["images"] == [FRAMES, 0]
    assert made == graph


def test_the_device_gets_the_same_workflow_and_the_desk_saves_only_what_comes_back() -> None:
    graph = text_to_video("x")
    made = prompts.device_prompt(graph, prompts.inspect(graph))

    assert made[prompts.SEND_ID]["inputs"]["images"] == [FRAMES, 0]
    assert made[prompts.FRAMES_ID]["inputs"]["images"] == [prompts.SEND_ID, 0]
    assert not nodes_of(made, "SaveVideo")
    assert {key: made[key] for key in (LOADER, LATENT, SAMPLED, FRAMES)} == {
        key: graph[key] for key in (LOADER, LATENT, SAMPLED, FRAMES)
    }


def test_seed_and_model_can_be_replaced() -> None:
    made = prompts.with_model(prompts.with_seed(text_to_video("x"), 5), "other.safetensors")

    assert made[SAMPLED]["inputs"]["seed"] == 5
    assert made[LOADER]["inputs"]["model_name"] == "other.safetensors"


def test_a_workflow_of_another_shape_is_refused() -> None:
    graph = text_to_video("x")
    del graph[SAMPLED]
    with pytest.raises(DemoError, match="0 KSampler nodes where the demo needs one"):
        prompts.inspect(graph)


def test_agreement_is_psnr_frame_by_frame() -> None:
    first = np.full((3, 8, 8, 3), 100, np.uint8)
    second = first.copy()
    second[1] += 1
    second[2] += 10

    measured = agreement(first, second)

    assert measured.per_frame[0] == EQUAL
    assert measured.per_frame[1] == pytest.approx(20 * np.log10(255))
    assert measured.lowest == pytest.approx(20 * np.log10(25.5))
    with pytest.raises(ValueError, match="different shapes"):
        agreement(first, second[:2])


def test_the_contact_sheet_shows_both_rows(tmp_path: Path) -> None:
    red = np.zeros((17, 32, 64, 3), np.uint8)
    red[..., 0] = 255
    green = np.roll(red, 1, axis=-1)
    path = tmp_path / "sheet.png"

    contact_sheet(path, "a title", [("One", "", red), ("Two", "", green)], agreement(red, green))

    colours = {colour for _, colour in Image.open(path).convert("RGB").getcolors(1 << 20) or []}
    assert {(255, 0, 0), (0, 255, 0)} <= colours


def test_the_report_is_a_table_and_json(tmp_path: Path) -> None:
    report = Report()
    report.add("desktop", "sample", 1.25, evaluations=50)
    report.add("device", "write the video", 0.5, bytes=12345)
    report.facts["seed"] = "7"
    console = Console(record=True, width=100, quiet=True)
    with console.capture():
        report.print(console)
    report.write(tmp_path / "report.json")

    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["stages"][0] == {
        "where": "desktop",
        "stage": "sample",
        "seconds": 1.25,
        "evaluations": 50,
        "bytes": None,
    }
    assert told["seed"] == "7"
    assert told["machine"]["python"]


def test_seconds_go_to_the_stage_of_the_node_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 13.0, 20.0, 21.0])
    monkeypatch.setattr("demo.stages.time.monotonic", lambda: next(clock))
    times = StageTimes(text_to_video("x"), {"KSampler": "sample", "VAEDecode": "decode"})

    for event in (
        Event("executing", {"node": SAMPLED}),
        Event("progress", {}),
        Event("executing", {"node": FRAMES}),
        Event("executing", {"node": SAVE}),
        Event("execution_success", {}),
    ):
        times.see(event)

    assert times.seconds == {"sample": 3.0, "decode": 7.0}


def test_binary_messages_of_the_host_are_read() -> None:
    preview = parse_binary(b"\0\0\0\4" + b"\0\0\0\2" + b"{}" + b"JPEG")
    assert (preview.type, preview.data, preview.payload) == ("preview", {}, b"JPEG")
    text = parse_binary(b"\0\0\0\3" + b"\0\0\0\1" + b"7" + b"step 1")
    assert (text.type, text.data) == ("progress_text", {"node": "7", "text": "step 1"})
