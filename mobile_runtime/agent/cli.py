"""`python -m comfyui_pocketvideo.mobile_runtime.agent`: pair this device, run jobs, list or forget desks."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import platform
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ..bundle import BundleError, Store
from .errors import AgentError, DeskRefused
from .handshake import read_code, read_uri
from .home import Home
from .progress import ProgressLine


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 if it did what was asked, 1 with one sentence on stderr if not."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    home = Home(options.home)
    try:
        if options.command == "list":
            return _list(home)
        with home.locked():
            if options.command == "pair":
                return asyncio.run(_until_signal(_pair(home, options)))
            if options.command == "run":
                return asyncio.run(_until_signal(_run(home, options)))
            return asyncio.run(_forget(home, options.desk))
    except (AgentError, BundleError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo.mobile_runtime.agent",
        description="Makes this computer a PocketVideo device: it runs videos that a paired desk sends.",
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="the folder for pairings, bundles and results"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    pair = commands.add_parser("pair", help="pair with a desk that shows an offer")
    pair.add_argument(
        "uri", nargs="?", help="the pairing address in quotes, or - to read it from standard input"
    )
    pair.add_argument("--desk", metavar="HOST:PORT", help="the desk's address, to pair by typed code")
    pair.add_argument("--code", help="the digits that the desk shows")
    pair.add_argument(
        "--name", default=platform.node()[:64] or "device", help="what the desk calls this device"
    )
    run = commands.add_parser("run", help="wait for jobs and run them")
    run.add_argument("--once", action="store_true", help="end after one job")
    run.add_argument("--threads", type=int, default=None, help="cores to compute on (default: all)")
    run.add_argument(
        "--memory-budget",
        metavar="SIZE",
        help="memory that this process may take while it computes, as 300MB or 1.5GB; weights that do not fit"
        " are streamed from storage (default: all weights are held)",
    )
    commands.add_parser("list", help="show the paired desks and the bundles")
    forget = commands.add_parser("forget", help="end the pairing with a desk")
    forget.add_argument("desk", help="the desk's id from `list`")
    return parser


async def _pair(home: Home, options: argparse.Namespace) -> int:
    from .pair import pair

    if options.uri == "-":
        # An argument can be read by other users of this computer, standard input cannot.
        options.uri = sys.stdin.readline()
    if options.uri and not (options.desk or options.code):
        invitation = read_uri(options.uri)
    elif options.desk and options.code and not options.uri:
        invitation = read_code(options.desk, options.code)
    else:
        raise AgentError("Give either the pairing address, or both --desk and --code.")
    line = ProgressLine()

    def show(code: str) -> None:
        line.say(
            f"Verification code: {code[:3]} {code[3:]}. Confirm this device at the desk if it shows the same."
        )

    def same_code(code: str) -> bool:
        sys.stderr.write(f"Does the desk show {code[:3]} {code[3:]}? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    pairing = await pair(home, invitation, options.name, show, same_code)
    line.say(f"Paired with {pairing.desk_name}.")
    return 0


async def _run(home: Home, options: argparse.Namespace) -> int:
    # The engine loads onnxruntime, which the other commands do without.
    from ..engine import InputError
    from ..engine.memory import parse_bytes
    from .limits import Limits
    from .loop import Agent

    if options.threads is not None and options.threads < 1:
        raise AgentError("--threads must be at least 1.")
    try:
        budget = None if options.memory_budget is None else parse_bytes(options.memory_budget)
    except InputError as error:
        raise AgentError(f"--memory-budget: {error}") from None
    limits = Limits(options.threads, budget)
    succeeded = await Agent(home, ProgressLine(), once=options.once, limits=limits).run()
    return 0 if succeeded else 1


async def _forget(home: Home, desk_id: str) -> int:
    from .desk import Desk, pinned_context

    pairing = next((item for item in home.pairings() if item.desk_id == desk_id), None)
    if pairing is None:
        raise AgentError(f"No desk with id {desk_id} is paired; see the command `list`.")
    try:
        async with Desk(
            pairing.host, pairing.port, pinned_context(pairing.certificate), pairing.token
        ) as desk:
            await desk.unpair()
    except AgentError as error:
        if not (isinstance(error, DeskRefused) and error.status == 401):
            sys.stderr.write(f"{error} Revoke this device at the desk, too.\n")
    home.remove(desk_id)
    return 0


def _list(home: Home) -> int:
    for pairing in home.pairings():
        sys.stdout.write(f"desk {pairing.desk_id} {pairing.host}:{pairing.port} {pairing.desk_name}\n")
    store = Store(home.store)
    for identity in store.bundles():
        bundle = store.open(identity)
        size = sum(entry["bytes"] for entry in bundle.files.values())
        sys.stdout.write(f"bundle {identity} {size} bytes {bundle.manifest['name']}\n")
    return 0


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run `work`; SIGTERM ends it as an interrupt from the keyboard would."""
    task = asyncio.ensure_future(work)
    # Windows has no signal handlers in its event loop, and no SIGTERM to speak of.
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
