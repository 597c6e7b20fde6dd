"""What the agent's command line takes."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo.mobile_runtime.agent",
        description="Makes this computer a PocketVideo device: it runs videos that a paired desk sends.",
    )
    top.add_argument("--home", type=Path, required=True, help="the folder for pairings, bundles and results")
    commands = top.add_subparsers(dest="command", required=True)
    _pair(commands.add_parser("pair", help="pair with a desk that shows an offer"))
    _run(commands.add_parser("run", help="wait for jobs and do them"))
    _make(commands.add_parser("make", help="make a video with a bundle on this device, without a desk"))
    commands.add_parser("list", help="show the paired desks and the bundles")
    commands.add_parser("bundles", help="show the bundles on this device and what may be set in them")
    commands.add_parser("results", help="show the videos that were made here")
    delete = commands.add_parser("delete", help="delete a bundle, a result, or what broken transfers left")
    delete.add_argument("what", help="a bundle's name or id, a result's id, or `unfinished`")
    back = commands.add_parser("send-back", help="send videos that were made here to the paired desks")
    back.add_argument("results", nargs="*", metavar="RESULT", help="ids from `results` (default: all)")
    forget = commands.add_parser("forget", help="end the pairing with a desk")
    forget.add_argument("desk", help="the desk's id from `list`")
    return top


def _pair(pair: argparse.ArgumentParser) -> None:
    pair.add_argument(
        "uri", nargs="?", help="the pairing address in quotes, or - to read it from standard input"
    )
    pair.add_argument("--desk", metavar="HOST:PORT", help="the desk's address, to pair by typed code")
    pair.add_argument("--code", help="the digits that the desk shows")
    pair.add_argument(
        "--discover",
        action="store_true",
        help="look for desks on this network; with --code, pair with the only one found",
    )
    pair.add_argument(
        "--name", default=platform.node()[:64] or "device", help="what the desk calls this device"
    )


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--once", action="store_true", help="end after one job")
    run.add_argument(
        "--send-back", action="store_true", help="send what `make` made to the desks when they are in reach"
    )
    run.add_argument(
        "--quota", metavar="SIZE", help="storage that bundles may take, as 4GB (default: what is free)"
    )
    _computing(run)


def _make(make: argparse.ArgumentParser) -> None:
    make.add_argument("bundle", help="its name or id from `bundles`")
    make.add_argument("--prompt", help="the bundle's first text")
    make.add_argument("--seed", help="the bundle's seed")
    make.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other input of the bundle; a photo by its path",
    )
    make.add_argument("--out", type=Path, metavar="FILE", help="also write the video there")
    _computing(make)


def _computing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=int, default=None, help="cores to compute on (default: all)")
    command.add_argument(
        "--memory-budget",
        metavar="SIZE",
        help="memory that this process may take while it computes, as 300MB or 1.5GB; weights that do not fit"
        " are streamed from storage (default: all weights are held)",
    )
