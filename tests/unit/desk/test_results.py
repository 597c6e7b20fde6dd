"""Results that devices send back: placed once, under a name of ours, with the values that were used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest
from comfyui_pocketvideo.desk.folder import StateFolder, write_json
from comfyui_pocketvideo.desk.results import ResultShelf, SentBack
from comfyui_pocketvideo.desk.videos import MP4

from .test_videos import mp4

BUNDLE = "ab" * 32
PROMPT = {"5": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 4}}}


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """A state folder that knows one bundle."""
    made = StateFolder(tmp_path / "state")
    record = {"name": "../My bundle/\u2603", "files": {}, "prompt": PROMPT, "workflow": None}
    write_json(made.bundles / f"{BUNDLE}.json", {**record, "places": {"seed": [["5", "seed"]]}})
    return made


class Output:
    """An output folder that names files as ComfyUI does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked = 0

    def __call__(self, prefix: str, extension: str) -> tuple[Path, str]:
        subfolder, _, name = prefix.rpartition("/")
        place = self.root / subfolder
        place.mkdir(parents=True, exist_ok=True)
        self.asked += 1
        number = 1 + len([path for path in place.iterdir() if path.name.startswith(name)])
        return place / f"{name}_{number:05}_{extension}", subfolder


def sent(file: Path, number: int = 0, **changes: Any) -> SentBack:
    given: dict[str, Any] = {
        "file": file,
        "result_id": f"{number:032x}",
        "bundle_id": BUNDLE,
        "name": "../../evil<script>",
        "values": {"seed": "18446744073709551615", "photo": "x"},
        "seconds": 2.5,
        "mime": MP4,
        "device_name": "Shelf",
    }
    return SentBack(**{**given, **changes})


def test_a_result_is_placed_once_with_its_values_in_the_workflow(tmp_path: Path, folder: StateFolder) -> None:
    told: list[int] = []
    shelf = ResultShelf(folder, Output(tmp_path / "out"), changed=lambda: told.append(1))
    source = mp4(tmp_path / "in.mp4")
    shelf.put(sent(source))
    shelf.put(sent(source))
    (entry,) = shelf.newest()
    assert told == [1]
    assert entry["file"] == {"filename": "My-bundle_00001_.mp4", "subfolder": "video", "type": "output"}
    assert entry["device_name"] == "Shelf"
    assert entry["values"]["seed"] == "18446744073709551615"
    with av.open(str(tmp_path / "out" / "video" / "My-bundle_00001_.mp4")) as video:
        tags = dict(video.metadata)
    assert json.loads(tags["prompt"])["5"]["inputs"] == {"seed": 2**64 - 1, "steps": 4}
    assert json.loads(tags["pocketvideo"])["seconds"] == 2.5
    # People pass videos on: whose device made it is nobody's business.
    assert "Shelf" not in json.dumps(tags)
    assert [path.name for path in (tmp_path / "out" / "video").iterdir()] == ["My-bundle_00001_.mp4"]


def test_an_unknown_bundle_and_no_metadata_are_placed_all_the_same(
    tmp_path: Path, folder: StateFolder
) -> None:
    output = Output(tmp_path / "out")
    plain = ResultShelf(folder, output, metadata=False, changed=lambda: None)
    source = mp4(tmp_path / "in.mp4")
    plain.put(sent(source, 1))
    plain.put(sent(source, 2, bundle_id="cd" * 32))
    plain.put(sent(source, 3, bundle_id="../../../etc/passwd"))
    names = [entry["file"]["filename"] for entry in plain.newest()]
    assert names == ["device_00002_.mp4", "device_00001_.mp4", "My-bundle_00001_.mp4"]
    with av.open(str(tmp_path / "out" / "video" / names[2])) as video:
        assert "prompt" not in video.metadata


def test_t18_a_file_that_cannot_be_parsed_is_dropped_and_leaves_nothing(
    tmp_path: Path, folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = ResultShelf(folder, Output(tmp_path / "out"), changed=lambda: None)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\0\0\0\x10ftypisom" + b"\0" * 500)
    shelf.put(sent(bad))
    shelf.put(sent(bad, 5, mime="text/html"))
    assert shelf.newest() == []
    assert list((tmp_path / "out").rglob("*.mp4")) == []
    assert "A result of Shelf was refused" in caplog.text


def test_a_name_that_somebody_takes_meanwhile_is_not_written_over(
    tmp_path: Path, folder: StateFolder
) -> None:
    output = Output(tmp_path / "out")
    theirs = tmp_path / "out" / "video" / "My-bundle_00001_.mp4"
    calls = []

    def racing(prefix: str, extension: str) -> tuple[Path, str]:
        path, subfolder = output(prefix, extension)
        calls.append(path)
        if len(calls) == 2:
            theirs.write_bytes(b"ComfyUI's own")
        return path, subfolder

    shelf = ResultShelf(folder, racing, changed=lambda: None)
    shelf.put(sent(mp4(tmp_path / "in.mp4")))
    assert theirs.read_bytes() == b"ComfyUI's own"
    assert shelf.newest()[0]["file"]["filename"] == "My-bundle_00002_.mp4"


def test_only_the_newest_are_listed(tmp_path: Path, folder: StateFolder) -> None:
    shelf = ResultShelf(folder, Output(tmp_path / "out"), changed=lambda: None)
    source = mp4(tmp_path / "in.mp4", frames=1)
    for number in range(53):
        shelf.put(sent(source, number))
    assert len(shelf.newest()) == 50
