"""Making a video on this device alone, with no desk in reach: a bundle that is held, and values for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..bundle import Bundle, Input, Store
from ..engine import run_bundle
from .errors import AgentError
from .home import Home
from .limits import Limits
from .progress import ProgressLine
from .report import RunShares
from .shelf import Made, Shelf
from .testing import known_test, test_bundle


def make(home: Home, bundle: Bundle, values: dict[str, Any], line: ProgressLine, limits: Limits) -> Made:
    """Run a held bundle and keep its video on the shelf.

    Raises InputError for a value, EngineError or BundleError; nothing is kept then.
    """
    if known_test(home, bundle) is None:
        # Files at rest may have changed since they arrived; a job's install looks as closely.
        bundle.verify()
        test_bundle(
            home,
            bundle,
            limits,
            lambda event: line.show("self_test", event.fraction, f"comparing {event.op}"),
        )
    shelf = Shelf(home.results)
    shares = RunShares(bundle)
    with shelf.work_folder() as folder:
        started = time.monotonic()
        result = run_bundle(
            bundle,
            values,
            threads=limits.threads,
            memory_budget=limits.memory_budget,
            progress=lambda event: line.show("run", *shares.at(event)),
            output_dir=folder,
        )
        seconds = round(time.monotonic() - started, 3)
        texts = [str(result.values[name]) for name in _of_type(bundle.manifest["inputs"], "text")]
        name = next((text for text in texts if text.strip()), bundle.manifest["name"])
        return shelf.keep(Path(result.video_path), bundle.id, name, result.values, seconds)


def find_bundle(store: Store, wanted: str) -> Bundle:
    """The held bundle whose name is `wanted` or whose id starts with it. Raises AgentError, BundleError."""
    held = [store.open(identity) for identity in store.bundles()]
    found = [item for item in held if item.manifest["name"] == wanted]
    if not found and len(wanted) >= 4:
        found = [item for item in held if item.id.startswith(wanted.lower())]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{item.manifest['name']} ({item.id[:12]})" for item in (found or held))
    if not held:
        raise AgentError("No bundle is on this device yet; send one from the desk.")
    raise AgentError(
        f"{'More than one' if found else 'No'} bundle is called {wanted!r}; name one of these by name or id:"
        f" {names}."
    )


def read_values(bundle: Bundle, prompt: str | None, seed: str | None, settings: list[str]) -> dict[str, Any]:
    """The values of a command line: `--prompt`, `--seed`, and NAME=VALUE for any input. Raises AgentError."""
    inputs = bundle.manifest["inputs"]
    values: dict[str, Any] = {}
    for option, kind, value in (("--prompt", "text", prompt), ("--seed", "seed", seed)):
        if value is not None:
            values[_first(inputs, kind, option)] = value
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in inputs:
            raise AgentError(
                f"--set {setting[:80]!r} names no input; write NAME=VALUE with one of {', '.join(inputs)}."
            )
        values[name] = _typed(name, inputs[name], text)
    return values


def _first(inputs: dict[str, Input], kind: str, option: str) -> str:
    for name in _of_type(inputs, kind):
        return name
    raise AgentError(f"This bundle has no input for {option}; its inputs are: {', '.join(inputs) or 'none'}.")


def _of_type(inputs: dict[str, Input], kind: str) -> list[str]:
    """The inputs of a type, `prompt` first: a manifest is sorted, so that `negative_prompt` comes before."""
    found = [name for name, spec in inputs.items() if spec["type"] == kind]
    return sorted(found, key=lambda name: name != "prompt")


def _typed(name: str, spec: Input, text: str) -> Any:
    try:
        if spec["type"] == "integer":
            return int(text)
        if spec["type"] == "number":
            return float(text)
    except ValueError:
        raise AgentError(f"The input {name!r} takes a number, and {text[:80]!r} is none.") from None
    # Only what a person typed here becomes a path; a string from the network never does.
    return Path(text) if spec["type"] == "image" else text
