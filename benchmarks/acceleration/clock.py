"""Taking the time of work that a graphics card may still be doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch


def now() -> float:
    """Seconds, after everything asked of the graphics card so far is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass
class Stopwatch:
    """Adds up seconds and calls under names."""

    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.calls[name] = self.calls.get(name, 0) + 1

    def timed(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """`function` with its time added under what `name` says of the call's arguments."""

        def run(*args: Any, **kwargs: Any) -> Any:
            started = now()
            result = function(*args, **kwargs)
            self.add(name(*args, **kwargs), now() - started)
            return result

        return run


@contextmanager
def replaced(owner: Any, attribute: str, value: Any) -> Iterator[None]:
    """An attribute changed for a while: an instrument's probe, never how the pack attaches itself."""
    before = getattr(owner, attribute)
    setattr(owner, attribute, value)
    try:
        yield
    finally:
        setattr(owner, attribute, before)
