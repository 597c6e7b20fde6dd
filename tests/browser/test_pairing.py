"""A person pairs a device from ComfyUI's page, with the real agent on the other side."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from playwright.sync_api import expect

from demo.device import MODULE, ReferenceDevice, desk, forget_all
from host.client import ComfyClient

from .editor import Editor

# A device chooses its own name, so the page must show it as text and never as markup (T14).
HOSTILE_NAME = "<img src=x onerror=window.hacked=1><b>tablet"


def test_t14_a_device_pairs_through_the_dialog_and_its_name_is_text(
    editor: Editor, client: ComfyClient, tmp_path: Path
) -> None:
    forget_all(client)
    page = editor.page
    page.evaluate("window.app.extensionManager.command.execute('PocketVideo.Pair')")
    dialog = page.get_by_role("dialog", name="Pair a device")
    expect(dialog.get_by_text("None yet.")).to_be_visible()

    dialog.get_by_role("button", name="Show pairing code").click()
    command = dialog.locator("input").input_value()
    uri = re.search(r'pair "(pocketvideo://[^"]+)"', command)
    assert uri is not None
    expect(dialog.get_by_text(re.compile(r"^\d{4} \d{4}$"))).to_be_visible()

    with ReferenceDevice(tmp_path / "device", tmp_path / "device.log") as device:
        pairing = subprocess.Popen(
            [
                str(device.python),
                "-m",
                MODULE,
                "--home",
                str(device.home),
                "pair",
                "-",
                "--name",
                HOSTILE_NAME,
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert pairing.stdin is not None
        assert pairing.stderr is not None
        pairing.stdin.write(uri[1] + "\n")
        pairing.stdin.flush()
        dialog.get_by_text(f"{HOSTILE_NAME} (agent, 127.0.0.1) wants to pair.").wait_for()
        shown = re.search(r"Verification code: (\d{3} \d{3})", pairing.stderr.readline())
        assert shown is not None
        expect(dialog.get_by_text(shown[1], exact=True)).to_be_visible()

        dialog.get_by_role("button", name="It is the same: confirm").click()
        expect(dialog.get_by_text(f"{HOSTILE_NAME} is paired.")).to_be_visible()
        assert pairing.wait(60) == 0

    assert [item["name"] for item in desk(client, "GET", "/devices")["devices"]] == [HOSTILE_NAME]
    assert page.evaluate("window.hacked") is None
    assert dialog.locator("img, b").count() == 0
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})").find("pocketvideo://") == -1

    dialog.get_by_role("button", name="Revoke").click()
    expect(dialog.get_by_text("None yet.")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    assert editor.script_errors == []
