"""What a device measured as it installed, from its report to the send's line and file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.desk.folder import StateFolder
from comfyui_pocketvideo.desk.request import SendRequest
from comfyui_pocketvideo.desk.self_tests import psnr_json, psnr_words, worst_psnr
from comfyui_pocketvideo.desk.send import SendStore


def report(*figures: Any) -> dict[str, Any]:
    """An install's report as docs/protocol.md has it, one component per figure."""
    components = {f"part_{number}": {"psnr": figure} for number, figure in enumerate(figures)}
    return {"seconds": {"fetch": 0.1}, "self_test": {"runtime": "onnxruntime", "components": components}}


@pytest.mark.parametrize(
    ("figures", "words", "told"),
    [
        ((154.7, 97.26, None), " (self-test 97 dB)", {"psnr": 97.3}),
        ((61,), " (self-test 61 dB)", {"psnr": 61}),
        ((None, None), " (self-test exact)", {"psnr": None}),
    ],
)
def test_the_worst_component_is_told(
    figures: tuple[float | None, ...], words: str, told: dict[str, float | None]
) -> None:
    psnr = worst_psnr(report(*figures))
    assert psnr_words(psnr) == words
    assert psnr_json(psnr) == told


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"self_test": None},
        {"self_test": []},
        {"self_test": {"runtime": "onnxruntime"}},
        {"self_test": {"components": {}}},
        {"self_test": {"components": [97.0]}},
        {"self_test": {"components": {"denoiser": 97.0}}},
        {"self_test": {"components": {"denoiser": {"min_psnr": 60.0}}}},
        report("97"),
        report(True),
        report(97.0, math.nan),
        report(math.inf),
        report(1e300),
        report(10**400),
    ],
)
def test_of_a_device_that_tells_none_or_nonsense_nothing_is_shown(sent: dict[str, Any]) -> None:
    assert worst_psnr(sent) is None
    assert psnr_words(worst_psnr(sent)) == ""
    assert psnr_json(worst_psnr(sent)) is None


@pytest.mark.parametrize("psnr", [None, 97.3, math.inf])
def test_a_send_keeps_it_over_a_restart_and_another_try_forgets_it(
    tmp_path: Path, psnr: float | None
) -> None:
    store = SendStore(StateFolder(tmp_path))
    send = store.new(SendRequest({}), "One", "0" * 16, "Shelf")
    send.self_test = psnr
    send.end("done")
    store.save(send)
    (loaded,) = store.load()
    assert loaded.self_test == psnr
    assert loaded.public()["self_test"] == psnr_json(psnr)
    loaded.begin_again()
    assert loaded.public()["self_test"] is None


@pytest.mark.parametrize("kept", ["", '"self_test": 97.3,', '"self_test": {"psnr": "high"},'])
def test_a_send_that_an_older_version_kept_is_read(tmp_path: Path, kept: str) -> None:
    store = SendStore(StateFolder(tmp_path))
    send = store.new(SendRequest({}), "One", "0" * 16, "Shelf")
    path = tmp_path / "sends" / send.send_id / "send.json"
    text = path.read_text(encoding="utf-8")
    assert text.count('"self_test":null,') + text.count('"self_test": null,') == 1, text
    path.write_text(text.replace('"self_test":null,', kept).replace('"self_test": null,', kept))
    (loaded,) = store.load()
    assert loaded.name == "One"
    assert loaded.self_test is None
