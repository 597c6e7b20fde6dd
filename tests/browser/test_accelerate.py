"""What a leap saves and costs, as a person sees it: open the template, press Run, read the pictures."""

from __future__ import annotations

from typing import Any

from .editor import RUN_MS, Editor

# Text and picture of the node of a class, as the canvas shows them.
SHOWN = """kind => {
  const node = window.app.graph._nodes.find(node => node.type === kind);
  const widget = name => node?.widgets?.find(widget => widget.name === name);
  const text = widget("$$node-text-preview");
  const picture = widget("$$canvas-image-preview");
  const image = node?.imgs?.[0];
  return text && picture && image?.complete && image.naturalWidth
    ? {text: text.value, text_height: text.computedHeight, picture_height: picture.computedHeight,
       size: [image.naturalWidth, image.naturalHeight]}
    : null;
}"""


def test_the_leap_template_shows_what_it_saved_and_what_it_cost(editor: Editor) -> None:
    editor.open_template("leap")
    editor.fit_view()
    editor.run()
    editor.wait_for_video()
    report = wait_for_picture(editor, "PocketVideoLeapReport")
    compared = wait_for_picture(editor, "PocketVideoCompareVideos")
    # From the two samplers to the right: the whole graph would be too small to read.
    editor.look_at(1010, 0, 0.72)
    editor.keep_screenshot("leap.png")

    assert "evaluations saved" in report["text"]
    assert compared["text"].startswith("PSNR ")
    for shown in (report, compared):
        assert shown["size"][0] >= 600
        # The picture gets the room, not the line above it.
        assert shown["picture_height"] > 2 * shown["text_height"]
    assert editor.complaint() is None
    assert editor.script_errors == []
    assert editor.strangers == [], "the page was answered by another host"


def wait_for_picture(editor: Editor, kind: str) -> dict[str, Any]:
    """The line and the picture of a node, once both are drawn."""
    shown = editor.page.wait_for_function(SHOWN, arg=kind, timeout=RUN_MS).json_value()
    assert isinstance(shown, dict)
    return shown
