"""What a device gives to a job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Cores to compute on (None: onnxruntime's choice) and bytes of resident memory (None: no bound)."""

    threads: int | None = None
    memory_budget: int | None = None
