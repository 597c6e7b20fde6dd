"""What a device gives to a job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Cores to compute on (None: onnxruntime's choice); bytes of memory and of stored bundles (None: all)."""

    threads: int | None = None
    memory_budget: int | None = None
    quota: int | None = None
