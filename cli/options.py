"""The command line: commands and their arguments."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..desk.request import LOSSLESS, PRECISIONS, PROMPTS

STATE_VARIABLE = "POCKETVIDEO_STATE_DIR"
EPILOG = """The folder with paired devices and exports is the one of --state, else ComfyUI's own with
--comfyui, else the one of the variable POCKETVIDEO_STATE_DIR, or ~/.pocketvideo. One program at a time uses a
folder's bridge.
`export` has arguments of its own: export --help."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    made = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo",
        description="Pair phones and other devices, send them ComfyUI workflows, and run those there.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--state", type=Path, help="the folder with paired devices and exports")
    made.add_argument("--comfyui", type=Path, help="ComfyUI's folder: its devices, models and images")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _pair(commands)
    listed = commands.add_parser("devices", help="list the paired devices")
    listed.add_argument("--json", action="store_true", help="as JSON")
    renamed = commands.add_parser("rename", help="give a device another name")
    renamed.add_argument("device", help="its name or id")
    renamed.add_argument("name", help="the new name")
    revoked = commands.add_parser("revoke", help="forget a device; it is let in no more")
    revoked.add_argument("device", help="its name or id")
    push = commands.add_parser("push", help="install a workflow on a device, to be run there offline")
    _workflow(push)
    push.add_argument("--name", default="", help="what lists call it (default: the model's name)")
    push.add_argument("--plan", action="store_true", help="only say what would be sent")
    run = commands.add_parser("run", help="run a workflow on a device and fetch the video")
    _workflow(run)
    run.add_argument("--prompt", help="the prompt to run instead of the workflow's")
    run.add_argument("--seed", help="the seed to run instead of the workflow's")
    run.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other value that the device lets its user edit, as steps=12",
    )
    run.add_argument("--out", type=Path, required=True, help="the MP4 file to write")
    commands.add_parser("export", help="write a bundle into a folder", add_help=False)
    return made


def state_folder(options: argparse.Namespace) -> Path:
    """Where devices and exports are kept."""
    if options.state is not None:
        return Path(options.state)
    if options.comfyui is not None:
        # ComfyUI's folder_paths.get_system_user_directory("pocketvideo")
        return Path(options.comfyui) / "user" / "__pocketvideo"
    named = os.environ.get(STATE_VARIABLE)
    return Path(named) if named else Path.home() / ".pocketvideo"


def _pair(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pair = commands.add_parser("pair", help="show a QR code and let a device in")
    pair.add_argument("--address", help="the address of this computer to listen on (default: the last one)")
    pair.add_argument("--port", type=int, help="the port (default: the last one, or any)")
    pair.add_argument("--no-qr", action="store_true", help="draw no QR code")
    pair.add_argument(
        "--stay",
        action="store_true",
        help="stay after pairing, so that a phone can load the app; Ctrl-C ends",
    )


def _workflow(command: argparse.ArgumentParser) -> None:
    command.add_argument("workflow", type=Path, help="JSON file that ComfyUI saved, in either format")
    command.add_argument("--device", default="", help="name or id (default: the only one)")
    command.add_argument("--target", help="id of the node to end in, where the workflow has several")
    command.add_argument("--models", type=Path, action="append", default=[], help="folder of model files")
    command.add_argument("--photos", type=Path, help="folder of the workflow's images (default: beside it)")
    command.add_argument("--prompts", choices=PROMPTS, default="editable", help="(default: %(default)s)")
    command.add_argument(
        "--precision",
        default=LOSSLESS,
        help=f"{', '.join(PRECISIONS)}, or as export takes it (default: %(default)s)",
    )
    command.add_argument(
        "--wait", type=float, default=60.0, metavar="SECONDS", help="for a device that is away (default: 60)"
    )
