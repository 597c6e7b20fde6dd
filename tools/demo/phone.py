"""`make demo-phone`: the quickstart on your own phone, from the code in this terminal to a video made there.

ComfyUI runs headless and is asked by its own routes, as its page asks it. Nothing is simulated: the code, the
six digits and the transfer are those of the editor. It ends with Ctrl+C.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from comfyui_pocketvideo.desk.qr import qr_lines
from rich.console import Console

from host.client import ComfyClient, PromptRejected, RequestFailed
from host.server import REPOSITORY, ComfyServer, HostError
from host.workflow import WorkflowError, load_workflow, to_prompt

from .device import desk
from .errors import DemoError
from .run import CACHE

WORKFLOW = REPOSITORY / "workflows" / "quickstart.json"
LOOPBACK = "127.0.0.1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo-phone", description=__doc__)
    parser.add_argument("--workflow", type=Path, default=WORKFLOW, help="the workflow to send")
    parser.add_argument("--address", help="the address of this computer that the phone reaches")
    options = parser.parse_args()
    console = Console()
    try:
        subprocess.run([sys.executable, str(REPOSITORY / "tools" / "phone.py"), "build"], check=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="phone-") as folder:
            state = {"POCKETVIDEO_STATE_DIR": str(CACHE / "desk")}
            console.print("Starting ComfyUI.")
            with ComfyServer(Path(folder), environ=state) as server:
                _try(console, server, options.workflow, options.address)
    except KeyboardInterrupt:
        console.print("\nStopped.")
    except subprocess.CalledProcessError as error:
        return error.returncode
    except (DemoError, HostError, RequestFailed, PromptRejected, WorkflowError) as error:
        console.print(f"\nThe demo stopped. {error}", style="red", markup=False)
        return 1
    return 0


def _try(console: Console, server: ComfyServer, workflow: Path, address: str | None) -> None:
    client = server.client()
    graph = load_workflow(workflow)
    prompt = to_prompt(graph, client.object_info())
    address = address or _address(desk(client, "GET", "/settings")["addresses"])
    if address == LOOPBACK:
        console.print(
            "This computer has no address in a network, so only its own browsers reach it, or a phone by "
            "USB after `adb reverse`."
        )
    device = _pair(console, client, address)
    name = device["name"]
    console.print(f"Paired with {name}. Sending the workflow; the first time its networks are exported.")
    body = {"prompt": prompt, "workflow": graph, "device_id": device["device_id"]}
    _follow(console, client, desk(client, "POST", "/sends", body)["send_id"])
    console.print(
        f"It is on {name}: make a video there, then stop this with Ctrl+C, put the phone in aeroplane mode "
        f"and make another. What the phone sends back lies in {server.output} until this ends."
    )
    while True:
        time.sleep(1)


def _address(addresses: list[str]) -> str:
    return next((one for one in addresses if one != LOOPBACK), LOOPBACK)


def _pair(console: Console, client: ComfyClient, address: str) -> dict[str, Any]:
    """Show codes until a phone asks, and confirm the one whose digits the person sees."""
    expires = 0.0
    while True:
        if time.time() > expires:
            offer = desk(client, "POST", "/pair", {"address": address})
            expires = offer["expires_at"]
            # The terminal's own colours and widths matter to a camera, so rich does not touch these lines.
            print("\n".join(["", *qr_lines(offer["uri"]), ""]))
            console.print("Scan it with the phone's camera, or open", soft_wrap=True)
            print(offer["uri"], flush=True)
        pending = desk(client, "GET", "/pending")["pending"]
        if pending:
            asking = pending[0]
            code = asking["verification_code"]
            console.print(f"{asking['name']} asks to be paired.", markup=False)
            answer = input(f"Does it show {code[:3]} {code[3:]}? [y/N] ")
            chosen = {"device_id": asking["device_id"]}
            if answer.strip().lower() in ("y", "yes"):
                device: dict[str, Any] = desk(client, "POST", "/confirm", chosen)["device"]
                return device
            desk(client, "POST", "/refuse", chosen)
            expires = 0.0
        time.sleep(0.5)


def _follow(console: Console, client: ComfyClient, send_id: str) -> None:
    """Tell each state of a send until it is done. Raises DemoError with the send's sentence."""
    told = ""
    while True:
        sends = desk(client, "GET", "/sends")["sends"]
        send = next(one for one in sends if one["send_id"] == send_id)
        if send["state"] != told:
            told = send["state"]
            console.print(f"  {told}", markup=False)
        if told == "done":
            return
        if told in ("failed", "cancelled", "interrupted"):
            raise DemoError(send["error"] or f"The send was {told}: run the demo again.")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
