"""`pair`: a QR code in the terminal, and a person who compares two numbers."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..desk.errors import DeskError, missing
from ..desk.folder import LOOPBACK, StateFolder
from ..desk.qr import qr_lines

if TYPE_CHECKING:
    from ..desk.bridge import DeskBridge
    from ..mobile_runtime.bridge import PendingDevice

LOOK_SECONDS = 0.25
# The device waits for the decision in a request of its own, which is answered at once.
FETCH_SECONDS = 3.0


def pair(options: argparse.Namespace, folder: StateFolder) -> int:
    """Pair one device. Raises DeskError and BridgeError."""
    try:
        from ..desk.bridge import DeskBridge
    except ImportError as error:
        raise missing(error) from error
    now = folder.settings()
    settings = replace(
        now,
        address=now.address if options.address is None else options.address,
        port=now.port if options.port is None else options.port,
    )
    bridge = DeskBridge(folder, "The command line", settings)
    bridge.start()
    try:
        folder.save_settings(settings)
        return _pair(options, bridge, settings.address == LOOPBACK)
    finally:
        bridge.stop()


def _pair(options: argparse.Namespace, bridge: DeskBridge, only_here: bool) -> int:
    offer = bridge.begin_pairing()
    out = sys.stdout
    if not options.no_qr:
        out.write("\n".join(qr_lines(offer.uri, out.encoding)) + "\n")
    out.write("Point the phone's camera at the code, or give this address to the device's agent:\n")
    out.write(f"  {offer.uri}\n")
    out.write(f"Or type the code {offer.code[:4]} {offer.code[4:]} there, with {offer.address}.\n")
    out.write(f"The desk's fingerprint, to compare on the device's trust page: {bridge.fingerprint}\n")
    if only_here:
        out.write(
            f"Only this computer reaches {LOOPBACK}; name its address in your network with --address.\n"
        )
    out.flush()
    while True:
        pending = bridge.pending()
        if pending:
            break
        if time.time() > offer.expires_at:
            raise DeskError("No device came within three minutes: run `pair` again for a new code.")
        time.sleep(LOOK_SECONDS)
    asking = pending[0]
    if not _same_number(asking):
        bridge.refuse(asking.device_id)
        out.write(f"{asking.name} was turned away.\n")
        return 1
    device = bridge.confirm(asking.device_id)
    out.write(f"{device.name} is paired.\n")
    out.flush()
    _let_it_come(bridge, device.device_id)
    if options.stay or device.kind == "phone":
        out.write("The phone may load the app now; press Ctrl-C when it has.\n")
        out.flush()
        while True:
            time.sleep(LOOK_SECONDS)
    return 0


def _same_number(asking: PendingDevice) -> bool:
    code = asking.verification_code
    sys.stdout.write(
        f"{asking.name} ({asking.kind}, {asking.remote_address}) wants to pair and should show "
        f"{code[:3]} {code[3:]}.\nDoes it show the same? [y/N] "
    )
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _let_it_come(bridge: DeskBridge, device_id: str) -> None:
    """Stay until the device has heard of its luck: the bridge ends with this command."""
    until = time.monotonic() + FETCH_SECONDS
    while time.monotonic() < until:
        if any(device.device_id == device_id and device.connected for device in bridge.devices()):
            return
        time.sleep(LOOK_SECONDS)
