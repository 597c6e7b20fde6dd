"""A person sends a workflow from ComfyUI's sidebar to a device, the real agent in its own process."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from demo.device import MODULE, ReferenceDevice, desk, forget_all
from host.client import ComfyClient

from .editor import Editor
from .sidebar import SEND_MS, Sidebar

# Puts Run on Device in place of the nodes that save the video here.
ON_DEVICE = """() => {
  const graph = window.app.graph;
  const find = kind => graph.nodes.find(node => node.comfyClass === kind);
  for (const kind of ['CreateVideo', 'SaveVideo']) graph.remove(find(kind));
  const run = window.LiteGraph.createNode('PocketVideoRunOnDevice');
  run.pos = [find('VAEDecode').pos[0] + 260, find('VAEDecode').pos[1]];
  graph.add(run);
  find('VAEDecode').connect(0, run, 'images');
  // Long enough on a fast machine, too: a device tells four times a second how far it is.
  find('KSampler').widgets.find(widget => widget.name === 'steps').value = 200;
}"""
# Gathers what the node shows while it runs.
LISTEN = """() => {
  window.seen = {words: new Set(), progress: new Set()};
  setInterval(() => {
    const node = window.app.graph.nodes.find(node => node.comfyClass === 'PocketVideoRunOnDevice');
    const text = node?.widgets?.find(widget => widget.name === '$$node-text-preview');
    if (text?.value) window.seen.words.add(text.value);
    if (node?.progress) window.seen.progress.add(node.progress);
  }, 20);
}"""
OFFERED = """kind => window.app.graph.nodes.find(node => node.comfyClass === kind)
  .widgets.find(widget => widget.name === 'device').options.values"""
SHORTEN = """() => {
  const latent = window.app.graph.nodes.find(node => node.comfyClass === 'PocketVideoEmptyLatent');
  latent.widgets.find(widget => widget.name === 'length').value = 9;
  window.app.extensionManager.workflow.activeWorkflow.changeTracker.checkState();
}"""
PROMPT = "a blue star moves left on a black background"
SEND_NODE = """() => {
  const node = window.app.graph.nodes.find(node => node.comfyClass === 'PocketVideoSendToDevice'
    || node.comfyClass === 'PocketVideoRunOnDevice');
  return window.app.canvas.ds.convertOffsetToCanvas([node.pos[0] + 40, node.pos[1] - 12]);
}"""


@pytest.fixture
def device(client: ComfyClient, tmp_path: Path) -> Iterator[ReferenceDevice]:
    """The only paired device; it is away until a test lets it run."""
    forget_all(client)
    desk(client, "POST", "/sends/clear", {})
    with ReferenceDevice(tmp_path / "device", tmp_path / "device.log") as made:
        made.pair(client, lambda: None)
        yield made
    forget_all(client)


@contextmanager
def agent(device: ReferenceDevice, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command on the device, ended with the block."""
    with device.log.open("ab") as log:
        process = subprocess.Popen(
            [str(device.python), "-m", MODULE, "--home", str(device.home), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def state(card: Locator) -> Locator:
    """The line that says where a send stands."""
    return card.locator(".pv-state")


def test_a_send_is_planned_waits_survives_a_reload_and_arrives(
    editor: Editor, client: ComfyClient, device: ReferenceDevice
) -> None:
    page = editor.page
    sidebar = Sidebar(editor).open()
    editor.open_template("quickstart")
    sidebar.open().tab("Sends")
    expect(sidebar.panel.get_by_text("Nothing was sent yet.")).to_be_visible()
    sidebar.button("Send this workflow").click()

    plan = sidebar.panel.get_by_role("group", name="Plan")
    expect(plan).to_contain_text("Video network", timeout=SEND_MS)
    expect(plan).to_contain_text("To send")
    expect(plan).to_contain_text(re.compile(r"Can be changed.*Prompt"))
    expect(plan).to_contain_text("Memory")
    expect(sidebar.panel.get_by_text("It is away")).to_be_visible()
    full = plan.get_by_role("list", name="Parts").get_by_role("listitem")
    expect(full.filter(has_text="Text encoder")).to_have_count(1)
    sidebar.check_words()
    sidebar.keep_screenshot("sidebar-plan")
    page.evaluate("() => { window.app.canvas.ds.offset[0] -= 80; window.app.canvas.setDirty(true, true) }")
    editor.keep_screenshot("sidebar.png")

    sidebar.panel.get_by_label("Prompts").select_option("fixed")
    expect(full.filter(has_text="Text encoder")).to_have_count(0, timeout=SEND_MS)
    sidebar.panel.get_by_label("Prompts").select_option("editable")
    expect(full.filter(has_text="Text encoder")).to_have_count(1, timeout=SEND_MS)
    # A changed graph is planned anew, without a word from the person.
    memory = plan.locator("dt", has_text="Memory").locator("+ dd")
    before = memory.inner_text()
    page.evaluate(SHORTEN)
    expect(memory).not_to_have_text(before, timeout=SEND_MS)
    sidebar.panel.get_by_label("Name of this send").fill("Moving shapes")
    sidebar.button(re.compile("^Send$")).click()

    card = sidebar.card("Moving shapes")
    expect(state(card)).to_have_text("Waiting for Reference device", timeout=SEND_MS)
    bar = card.get_by_role("progressbar")
    assert 0 < int(bar.get_attribute("aria-valuenow") or 0) < 100
    editor.open()
    sidebar.open().tab("Sends")
    expect(state(card)).to_have_text("Waiting for Reference device")
    sidebar.check_words()
    sidebar.keep_screenshot("sidebar-send")

    card.get_by_role("button", name="Cancel").click()
    expect(state(card)).to_have_text("Cancelled")
    card.get_by_role("button", name="Retry").click()
    expect(state(card)).to_have_text("Waiting for Reference device", timeout=SEND_MS)
    with agent(device, "run"):
        expect(state(card)).to_have_text("Ready on the device", timeout=SEND_MS)
        toast = page.locator(".p-toast-message").filter(has_text="Ready on the device")
        expect(toast).to_be_visible()
        tested = card.get_by_text(re.compile(r"^Self-test (exact|\d+ dB)$"))
        expect(tested).to_have_attribute("title", re.compile("How closely"))
        expect(toast).to_have_count(0)
        sidebar.check_words()
        sidebar.keep_screenshot("sidebar-sent")
        sidebar.tab("Devices")
        known = sidebar.card("Reference device")
        expect(known).to_contain_text("Connected")
        expect(known).to_contain_text("Free space")
        known.get_by_text("Holds 1 workflow").click()
        expect(known.get_by_text("pocket_shapes")).to_be_visible()
        sidebar.check_words()
        sidebar.keep_screenshot("sidebar-devices")

    # Alone, and then in reach again.
    with agent(device, "make", "pocket_shapes", "--prompt", PROMPT, "--set", "steps=4") as made:
        assert made.wait(SEND_MS / 1000) == 0
    sidebar.tab("Results")
    expect(sidebar.panel.get_by_role("heading", name=PROMPT)).to_have_count(0)
    with agent(device, "send-back") as sent:
        assert sent.wait(SEND_MS / 1000) == 0
    result = sidebar.card("Reference device")
    expect(result.get_by_role("heading")).to_have_text(PROMPT)
    video = result.locator("video")
    expect(video).to_have_js_property("videoWidth", 128)
    sidebar.check_words()
    sidebar.keep_screenshot("sidebar-results")
    page.evaluate("window.app.graph.clear()")
    result.get_by_role("button", name="Open workflow").click()
    page.wait_for_function("window.app.graph.nodes.length > 3")
    nodes = editor.prompt()
    guider = next(node for node in nodes.values() if "positive" in node["inputs"])
    assert nodes[guider["inputs"]["positive"][0]]["inputs"]["text"] == PROMPT
    assert any(node["inputs"].get("steps") == 4 for node in nodes.values())
    assert editor.script_errors == []
    assert editor.strangers == []


def test_a_right_click_on_a_node_sends_it_and_what_cannot_be_sent_is_named(
    editor: Editor, device: ReferenceDevice
) -> None:
    page = editor.page
    sidebar = Sidebar(editor)
    page.evaluate("window.app.graph.clear()")
    page.mouse.click(1000, 500, button="right")
    page.get_by_text("PocketVideo: Send this workflow").click()
    refusal = sidebar.panel.get_by_role("alert")
    expect(refusal).to_contain_text("This workflow cannot be sent")
    expect(sidebar.button(re.compile("^Send$"))).to_be_disabled()
    sidebar.check_words()

    page.evaluate(
        "() => { const node = window.LiteGraph.createNode('PocketVideoSendToDevice');"
        " node.pos = [300, 200]; window.app.graph.add(node); window.app.canvas.ds.offset = [200, 100];"
        " window.app.canvas.setDirty(true, true) }"
    )
    page.locator(".pocketvideo-tab-button").click()
    expect(sidebar.panel).to_be_hidden()
    x, y = page.evaluate(SEND_NODE)
    page.mouse.click(x, y, button="right")
    page.get_by_text("PocketVideo: Send this workflow").click()
    expect(sidebar.panel.get_by_role("heading", name="Send this workflow")).to_be_visible()
    expect(refusal).to_contain_text("images")
    assert editor.script_errors == []


def test_run_on_device_shows_in_the_node_how_far_it_is_and_what_it_made(
    editor: Editor, client: ComfyClient, device: ReferenceDevice
) -> None:
    page = editor.page
    sidebar = Sidebar(editor).open()
    editor.open_template("quickstart")
    page.evaluate(ON_DEVICE)
    known = desk(client, "GET", "/devices")["devices"][0]["device_id"]
    desk(client, "POST", "/rename", {"device_id": known, "name": "Kitchen tablet"})
    # The node's list follows, so that nobody has to reload the page.
    sidebar.open().tab("Devices")
    expect(sidebar.card("Kitchen tablet")).to_be_visible()
    label = f"Kitchen tablet ({known[:4]})"
    page.wait_for_function(f"label => ({OFFERED})('PocketVideoRunOnDevice').includes(label)", arg=label)

    page.evaluate(LISTEN)
    with agent(device, "run"):
        editor.run()
        video = editor.wait_for_video()
    assert video.evaluate("video => video.videoWidth") == 128
    words = page.evaluate("[...window.seen.words]")
    assert any("denoise" in line for line in words), words
    assert any("made on the device" in line for line in words), words
    assert len(page.evaluate("[...window.seen.progress]")) > 3
    assert editor.complaint() is None
    assert editor.script_errors == []
