"""The agent's commands. Each takes the home folder, the parsed options and where to show progress; 0 or 1."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from ..bundle import Store
from .errors import AgentError, DeskRefused
from .handshake import Invitation, read_code, read_uri
from .home import Home
from .progress import ProgressLine
from .shelf import Shelf

if TYPE_CHECKING:
    from .limits import Limits

Command: TypeAlias = Callable[[Home, argparse.Namespace, ProgressLine], int]


def pair(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """Pair by address, by typed code, or list the desks on this network."""
    if options.discover:
        return _discover(home, options, line)
    if options.uri == "-":
        # An argument can be read by other users of this computer, standard input cannot.
        options.uri = sys.stdin.readline()
    if options.uri and not (options.desk or options.code):
        invitation = read_uri(options.uri)
    elif options.desk and options.code and not options.uri:
        invitation = read_code(options.desk, options.code)
    else:
        raise AgentError("Give either the pairing address, or both --desk and --code.")
    return _pair_with(home, options, line, invitation)


def _discover(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    from .discover import discover

    if options.uri or options.desk:
        raise AgentError("--discover looks for the desk's address; leave the address out.")
    line.say("Looking for desks on this network.")
    desks = discover()
    for desk in desks:
        sys.stdout.write(f"desk {desk.address} {desk.name} (fingerprint {desk.fingerprint})\n")
    if not desks:
        raise AgentError("No desk answered; press Pair at the desk and give its address with --desk.")
    if not options.code:
        line.say("Pair with --desk ADDRESS --code DIGITS, as the desk shows them.")
        return 0
    if len(desks) > 1:
        raise AgentError("More than one desk answered; choose one with --desk.")
    return _pair_with(home, options, line, read_code(desks[0].address, options.code))


def _pair_with(home: Home, options: argparse.Namespace, line: ProgressLine, invitation: Invitation) -> int:
    from .pair import pair as pair_device

    def show(code: str) -> None:
        line.say(
            f"Verification code: {code[:3]} {code[3:]}. Confirm this device at the desk if it shows the same."
        )

    def same_code(code: str) -> bool:
        sys.stderr.write(f"Does the desk show {code[:3]} {code[3:]}? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    async def work() -> int:
        pairing = await pair_device(home, invitation, options.name, show, same_code)
        line.say(f"Paired with {pairing.desk_name}.")
        return 0

    return asyncio.run(_until_signal(work()))


def run(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """Do jobs until a signal."""
    # The engine loads onnxruntime, which most commands do without.
    from .loop import Agent

    agent = Agent(home, line, once=options.once, limits=_limits(options), send_back=options.send_back)

    async def work() -> int:
        return 0 if await agent.run() else 1

    return asyncio.run(_until_signal(work()))


def make(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """Make a video with a bundle that is here."""
    from ..engine import EngineError
    from .making import find_bundle, make, read_values

    bundle = find_bundle(Store(home.store), options.bundle)
    values = read_values(bundle, options.prompt, options.seed, options.settings)
    try:
        made = make(home, bundle, values, line, _limits(options))
    except EngineError as error:
        raise AgentError(str(error)) from error
    shelf = Shelf(home.results)
    path = shelf.path(made)
    if options.out is not None:
        try:
            shutil.copyfile(path, options.out)
        except OSError as error:
            raise AgentError(
                f"{options.out} cannot be written ({error.strerror}); the video is {path}."
            ) from error
        path = options.out
    line.say(f"Made {made.name!r} in {made.seconds:.1f} s.")
    sys.stdout.write(f"result {made.result_id} {path}\n")
    return 0


def show_all(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """The paired desks and the bundles."""
    for pairing in home.pairings():
        sys.stdout.write(f"desk {pairing.desk_id} {pairing.host}:{pairing.port} {pairing.desk_name}\n")
    store = Store(home.store)
    for identity in store.bundles():
        bundle = store.open(identity)
        size = sum(entry["bytes"] for entry in bundle.files.values())
        sys.stdout.write(f"bundle {identity} {size} bytes {bundle.manifest['name']}\n")
    return 0


def show_bundles(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """The bundles, and each one's inputs with their defaults."""
    store = Store(home.store)
    for identity in store.bundles():
        bundle = store.open(identity)
        size = sum(entry["bytes"] for entry in bundle.files.values())
        sys.stdout.write(f"bundle {identity[:12]} {size / 1e6:.1f} MB {bundle.manifest['name']}\n")
        for name, spec in bundle.manifest["inputs"].items():
            sys.stdout.write(f"  {name} ({spec['type']}, default {str(spec['default'])[:80]!r})\n")
    sys.stdout.write(f"free {store.free_bytes() / 1e6:.1f} MB\n")
    return 0


def show_results(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """The videos made here."""
    shelf = Shelf(home.results)
    for made in shelf.results():
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(made.created_at))
        where = f"at {len(made.sent_to)} desks" if made.sent_to else "only here"
        sys.stdout.write(f"result {made.result_id[:12]} {when} {where} {shelf.path(made)} {made.name}\n")
    return 0


def delete(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """Delete a bundle, a result, or half files."""
    from .making import find_bundle

    store, shelf = Store(home.store), Shelf(home.results)
    if options.what == "unfinished":
        line.say(f"Freed {store.remove_unfinished() / 1e6:.1f} MB.")
        return 0
    if any(made.result_id.startswith(options.what) for made in shelf.results()):
        made = shelf.find(options.what)
        shelf.remove(made)
        line.say(f"Deleted the video {made.name!r}.")
        return 0
    bundle = find_bundle(store, options.what)
    freed = store.remove(bundle.id)
    line.say(f"Deleted the bundle {bundle.manifest['name']!r} and freed {freed / 1e6:.1f} MB.")
    return 0


def send_back(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """Send results to the paired desks."""
    from .send_back import send_chosen

    shelf = Shelf(home.results)
    chosen = [shelf.find(prefix) for prefix in options.results] or shelf.results()
    if not home.pairings():
        raise AgentError("This device is not paired with any desk; run the command `pair` first.")

    async def work() -> int:
        sent = await send_chosen(home, chosen)
        for made, pairing in sent:
            line.say(f"Sent {made.name!r} to {pairing.desk_name}.")
        if not sent:
            line.say("The desks have every result already.")
        return 0

    return asyncio.run(_until_signal(work()))


def forget(home: Home, options: argparse.Namespace, line: ProgressLine) -> int:
    """End the pairing with a desk, at both sides if it is in reach."""
    from .desk import Desk, pinned_context

    pairing = next((item for item in home.pairings() if item.desk_id == options.desk), None)
    if pairing is None:
        raise AgentError(f"No desk with id {options.desk} is paired; see the command `list`.")
    context = pinned_context(pairing.certificate)

    async def work() -> None:
        async with Desk(pairing.host, pairing.port, context, pairing.token) as desk:
            await desk.unpair()

    try:
        asyncio.run(work())
    except AgentError as error:
        if not (isinstance(error, DeskRefused) and error.status == 401):
            line.say(f"{error} Revoke this device at the desk, too.")
    home.remove(options.desk)
    return 0


COMMANDS: dict[str, Command] = {
    "pair": pair,
    "run": run,
    "make": make,
    "list": show_all,
    "bundles": show_bundles,
    "results": show_results,
    "delete": delete,
    "send-back": send_back,
    "forget": forget,
}
# These change what a running agent works with, so they hold the folder for themselves.
ALONE = frozenset({"run", "delete", "forget"})


def _limits(options: argparse.Namespace) -> Limits:
    from ..engine import InputError
    from ..engine.memory import parse_bytes
    from .limits import Limits

    if options.threads is not None and options.threads < 1:
        raise AgentError("--threads must be at least 1.")
    sizes: dict[str, int | None] = {}
    for option in ("memory_budget", "quota"):
        text = getattr(options, option, None)
        try:
            sizes[option] = None if text is None else parse_bytes(text)
        except InputError as error:
            raise AgentError(f"--{option.replace('_', '-')}: {error}") from None
    return Limits(options.threads, sizes["memory_budget"], sizes["quota"])


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run `work`; SIGTERM ends it as an interrupt from the keyboard would."""
    task = asyncio.ensure_future(work)
    # Windows has no signal handlers in its event loop, and no SIGTERM to speak of.
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
