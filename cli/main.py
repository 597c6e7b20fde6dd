"""Runs a command: one sentence on stderr and status 1 when it cannot, 130 when the user stops it."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

from ..desk.devices import choose_device, described
from ..desk.errors import DeskError, SendCancelled, missing
from ..desk.folder import StateFolder
from ..desk.sends import is_expected
from .options import parser, state_folder

if TYPE_CHECKING:
    from ..desk.bridge import DeskBridge

STOPPED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    known, rest = parser().parse_known_args(given)
    if known.command == "export":
        from ..pocketvideo.export.__main__ import main as export

        shared = [] if known.comfyui is None else ["--comfyui", str(known.comfyui)]
        return export([*shared, *rest])
    options = parser().parse_args(given)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _command(options)
    except (KeyboardInterrupt, SendCancelled):
        sys.stderr.write("\nStopped.\n")
        return STOPPED
    except Exception as error:
        if not is_expected(error) and not isinstance(error, OSError):
            raise
        sys.stderr.write(f"\n{error}\n" if sys.stderr.isatty() else f"{error}\n")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def open_bridge(options: argparse.Namespace) -> DeskBridge:
    """The bridge of the chosen folder, not listening yet. Raises DeskError where a package is missing."""
    try:
        from ..desk.bridge import DeskBridge
    except ImportError as error:
        raise missing(error) from error
    folder = StateFolder(state_folder(options))
    return DeskBridge(folder, "The command line", folder.settings())


def _command(options: argparse.Namespace) -> int:
    if options.command == "devices":
        return _devices(options)
    if options.command == "rename":
        bridge = open_bridge(options)
        device = bridge.rename(choose_device(bridge.devices(), options.device).device_id, options.name)
        sys.stdout.write(f"{device.device_id} is called {device.name}\n")
        return 0
    if options.command == "revoke":
        bridge = open_bridge(options)
        device = choose_device(bridge.devices(), options.device)
        bridge.revoke(device.device_id)
        sys.stdout.write(f"{device.name} is forgotten and let in no more\n")
        return 0
    if options.command == "pair":
        from .pair import pair

        return pair(options, StateFolder(state_folder(options)))
    from .work import push, run

    return push(options) if options.command == "push" else run(options)


def _devices(options: argparse.Namespace) -> int:
    devices = [described(device) for device in open_bridge(options).devices()]
    if options.json:
        sys.stdout.write(json.dumps(devices, indent=1) + "\n")
        return 0
    if not devices:
        raise DeskError("No device is paired yet: run `python -m comfyui_pocketvideo pair`.")
    for device in devices:
        seen = time.strftime("%Y-%m-%d %H:%M", time.localtime(device["last_seen"]))
        free = "" if device["free_bytes"] is None else f", {device['free_bytes'] / 1e9:.1f} GB free"
        sys.stdout.write(f"{device['device_id']}  {device['name']}  ({device['kind']}, seen {seen}{free})\n")
        for bundle in device["bundles"]:
            sys.stdout.write(f"    {bundle['name']}  {bundle['bytes'] / 1e6:.1f} MB\n")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
