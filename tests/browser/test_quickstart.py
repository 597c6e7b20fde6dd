"""A newcomer's first minute: open the quickstart from the template browser, press Run, see a video."""

from __future__ import annotations

import json

import av
import pytest

from host.client import ComfyClient
from host.server import REPOSITORY
from host.workflow import to_prompt

from .editor import Editor

WORKFLOWS = sorted(path.stem for path in (REPOSITORY / "workflows").glob("*.json"))


def test_the_quickstart_opens_from_the_template_browser_and_makes_a_video(editor: Editor) -> None:
    editor.open_template("quickstart")

    assert "PocketVideoModelLoader" in editor.node_types()
    assert editor.complaint() is None

    editor.run()
    video = editor.wait_for_video()
    editor.fit_view()
    editor.keep_screenshot("quickstart.png")

    assert video.is_visible()
    size = video.evaluate("video => [video.videoWidth, video.videoHeight]")
    with av.open(editor.saved_file(video)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        assert [stream.width, stream.height] == size
    latent = next(node for node in editor.prompt().values() if node["class_type"] == "PocketVideoEmptyLatent")
    assert frames == latent["inputs"]["length"]
    assert size == [latent["inputs"]["width"], latent["inputs"]["height"]]
    assert editor.complaint() is None
    assert editor.script_errors == []
    assert editor.strangers == [], "the page was answered by another host"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_opens_whole_and_means_the_same_to_the_demo(
    editor: Editor, client: ComfyClient, name: str
) -> None:
    editor.open_template(name)
    assert editor.complaint() is None

    theirs = editor.prompt()
    saved = json.loads((REPOSITORY / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    ours = to_prompt(saved, client.object_info())

    assert {key: node["class_type"] for key, node in ours.items()} == {
        key: node["class_type"] for key, node in theirs.items()
    }
    for key, node in theirs.items():
        assert ours[key]["inputs"] == node["inputs"], node["class_type"]
    assert editor.script_errors == []
