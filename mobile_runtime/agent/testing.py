"""A bundle's self-test, once per device and runtime: before the first use, and after onnxruntime changed."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from typing import Any

import onnxruntime

from ..bundle import Bundle
from ..engine import ProgressEvent, Sessions, self_test
from .home import Home
from .limits import Limits
from .report import plain_json

RUNTIME = f"onnxruntime {onnxruntime.__version__}"


def known_test(home: Home, bundle: Bundle) -> dict[str, Any] | None:
    """What the self-test said when it passed on this device with this runtime, or None."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((home.folder / "self-tests" / f"{bundle.id}.json").read_bytes())
        if isinstance(known, dict) and known.get("runtime") == RUNTIME:
            return known
    return None


def test_bundle(
    home: Home,
    bundle: Bundle,
    limits: Limits,
    progress: Callable[[ProgressEvent], None] | None = None,
    cancel: threading.Event | None = None,
    sessions: Sessions | None = None,
) -> dict[str, Any]:
    """Run the self-test and remember that it passed; `sessions` as in `self_test`.

    Raises EngineError when it does not.
    """
    report = self_test(
        bundle,
        threads=limits.threads,
        memory_budget=limits.memory_budget,
        progress=progress,
        cancel=cancel,
        sessions=sessions,
    )
    record: dict[str, Any] = plain_json({"runtime": RUNTIME, "components": report})
    path = home.folder / "self-tests" / f"{bundle.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, path)
    return record
