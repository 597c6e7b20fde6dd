"""A person pairs a device from ComfyUI's sidebar, with the real agent on the other side."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from demo.device import MODULE, ReferenceDevice, desk, forget_all
from host.client import ComfyClient

from .editor import Editor
from .sidebar import Sidebar

# A device chooses its own name, so the page must show it as text and never as markup (T14).
HOSTILE_NAME = "<img src=x onerror=window.hacked=1><b>tablet"
PATIENCE_SECONDS = 60.0


@contextmanager
def asking(device: ReferenceDevice, uri: str, name: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An agent that asks to be paired, and the six digits that it shows."""
    command = [str(device.python), "-m", MODULE, "--home", str(device.home), "pair", "-", "--name", name]
    pairing = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert pairing.stdin is not None
    assert pairing.stdout is not None
    try:
        pairing.stdin.write(uri + "\n")
        pairing.stdin.flush()
        said = ""
        while not (shown := re.search(r"Verification code: (\d{3} \d{3})", said)):
            line = pairing.stdout.readline()
            assert line, f"the agent ended; it said: {said}"
            said += line
        yield pairing, shown[1]
    finally:
        pairing.kill()
        pairing.wait()


@pytest.fixture
def device(client: ComfyClient, tmp_path: Path) -> Iterator[ReferenceDevice]:
    """A device that nobody has paired, on a desk that knows none."""
    forget_all(client)
    with ReferenceDevice(tmp_path / "device", tmp_path / "device.log") as made:
        yield made
    forget_all(client)


def test_t14_t20_a_device_pairs_from_the_code_and_is_renamed_and_revoked(
    editor: Editor, client: ComfyClient, device: ReferenceDevice
) -> None:
    sidebar = Sidebar(editor).open()
    expect(sidebar.panel.get_by_text("No device is paired yet.")).to_be_visible()
    sidebar.check_words()

    uri = sidebar.offer()
    secret, fingerprint = (parse_qs(urlsplit(uri).fragment)[key][0] for key in "sf")
    sidebar.check_words()
    sidebar.keep_screenshot("sidebar-pair")
    sidebar.panel.get_by_text("Use it without this computer").click()
    trusted = sidebar.panel.get_by_text(re.compile("^[0-9A-F]{2}:")).inner_text()
    assert re.sub(r"[:\s]", "", trusted).lower() == fingerprint

    with asking(device, uri, HOSTILE_NAME) as (pairing, shown):
        request = sidebar.panel.get_by_role("group", name="Pairing request")
        expect(request).to_contain_text(f"{HOSTILE_NAME} wants to pair.")
        expect(request.get_by_text(shown, exact=True)).to_be_visible()
        expect(sidebar.panel.get_by_role("img", name="Pairing code")).to_be_hidden()
        assert desk(client, "GET", "/devices")["devices"] == []
        sidebar.check_words()

        request.get_by_role("button", name="Same number: confirm").click()
        expect(sidebar.status).to_have_text(f"{HOSTILE_NAME} is paired.")
        assert pairing.wait(PATIENCE_SECONDS) == 0

    (known,) = desk(client, "GET", "/devices")["devices"]
    assert known["name"] == HOSTILE_NAME
    card = sidebar.card(HOSTILE_NAME)
    expect(card.get_by_role("heading")).to_have_text(HOSTILE_NAME)
    assert editor.page.evaluate("window.hacked") is None
    assert sidebar.panel.locator("img, b").count() == 0
    stored = sidebar.stored()
    for kept in (secret, fingerprint, known["device_id"], shown.replace(" ", ""), shown):
        assert kept not in stored

    card.get_by_role("button", name="Rename").click()
    sidebar.panel.get_by_label("Name of the device").fill("Kitchen tablet")
    editor.page.keyboard.press("Enter")
    card = sidebar.card("Kitchen tablet")
    expect(card).to_contain_text("Computer")
    assert [item["name"] for item in desk(client, "GET", "/devices")["devices"]] == ["Kitchen tablet"]

    card.get_by_role("button", name="Revoke").click()
    card.get_by_role("button", name="Keep").click()
    assert desk(client, "GET", "/devices")["devices"]
    card.get_by_role("button", name="Revoke").click()
    expect(card).to_contain_text("It loses its access at once")
    sidebar.check_words()
    card.get_by_role("button", name="Revoke").click()
    expect(sidebar.panel.get_by_text("No device is paired yet.")).to_be_visible()
    assert desk(client, "GET", "/devices")["devices"] == []
    assert editor.script_errors == []


def test_a_device_that_asked_before_a_reload_can_still_be_refused(
    editor: Editor, client: ComfyClient, device: ReferenceDevice
) -> None:
    sidebar = Sidebar(editor)
    with asking(device, sidebar.offer(), "Ada's laptop") as (pairing, shown):
        expect(sidebar.panel.get_by_text(shown, exact=True)).to_be_visible()
        editor.open()
        sidebar.open()
        expect(sidebar.panel.get_by_text(shown, exact=True)).to_be_visible()
        sidebar.keep_screenshot("sidebar-confirm")
        sidebar.button("Refuse").click()
        expect(sidebar.status).to_have_text("Ada's laptop was refused.")
        assert pairing.wait(PATIENCE_SECONDS) == 1
    assert desk(client, "GET", "/devices")["devices"] == []


def test_an_offer_ends_when_its_page_is_left(
    editor: Editor, client: ComfyClient, device: ReferenceDevice
) -> None:
    sidebar = Sidebar(editor)
    uri = sidebar.offer()
    sidebar.button("Back to devices").click()
    expect(sidebar.button("Pair a device")).to_be_visible()
    ended = subprocess.run(
        [str(device.python), "-m", MODULE, "--home", str(device.home), "pair", uri],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 1
    assert desk(client, "GET", "/pending")["pending"] == []


def test_the_bridge_is_set_turned_off_and_on(editor: Editor, client: ComfyClient) -> None:
    sidebar = Sidebar(editor).open()
    sidebar.offer()
    sidebar.button("Bridge settings").click()
    sidebar.panel.get_by_label("Further names").fill("studio.local")
    sidebar.button("Save").click()
    expect(sidebar.status).to_have_text("Saved.")
    assert desk(client, "GET", "/settings")["names"] == ["studio.local"]
    sidebar.check_words()
    sidebar.keep_screenshot("sidebar-settings")

    sidebar.button("Turn it off").click()
    expect(sidebar.status).to_have_text("The bridge is off.")
    assert desk(client, "GET", "/settings")["running"] is False
    sidebar.button("Turn it on").click()
    expect(sidebar.status).to_have_text("The bridge is on.")
    assert desk(client, "GET", "/settings")["running"] is True

    sidebar.panel.get_by_label("Further names").fill("not a name")
    sidebar.button("Save").click()
    expect(sidebar.status).to_contain_text("not a name")
    sidebar.panel.get_by_label("Further names").fill("")
    sidebar.button("Save").click()
    expect(sidebar.status).to_have_text("Saved.")


def test_the_tab_is_used_with_the_keyboard_and_found_in_menu_and_commands(editor: Editor) -> None:
    page = editor.page
    sidebar = Sidebar(editor).open()
    devices = sidebar.panel.get_by_role("tab", name="Devices")
    devices.focus()
    for name in ("Sends", "Results", "Devices"):
        page.keyboard.press("ArrowRight")
        tab = sidebar.panel.get_by_role("tab", name=name)
        expect(tab).to_be_focused()
        expect(tab).to_have_attribute("aria-selected", "true")
        expect(sidebar.panel.get_by_role("tabpanel", name=name)).to_be_visible()
        sidebar.check_words()

    page.locator(".pocketvideo-tab-button").click()
    expect(sidebar.panel).to_be_hidden()
    page.locator(".comfy-menu-button-wrapper").click()
    for name in ("Extensions", "PocketVideo"):
        page.get_by_role("menuitem", name=name, exact=True).first.hover()
    page.get_by_role("menuitem", name="PocketVideo: Devices", exact=True).click()
    expect(sidebar.panel.get_by_role("tabpanel", name="Devices")).to_be_visible()
    page.evaluate("window.app.extensionManager.command.execute('PocketVideo.Send')")
    expect(sidebar.panel.get_by_role("heading", name="Send this workflow")).to_be_focused()
    assert editor.script_errors == []
