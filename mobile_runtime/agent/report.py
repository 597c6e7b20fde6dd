"""What a device says of a run: facts of the machine, shares of time, and values as strict JSON."""

from __future__ import annotations

import dataclasses
import math
import os
import platform
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import onnxruntime

from ..bundle import Bundle
from ..engine import ProgressEvent


def device_facts() -> dict[str, Any]:
    """What the report says of this device; nothing that identifies its user."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


class RunShares:
    """Turns progress within one op into progress within the run, by a rough share of time per kind of op."""

    SHARES: ClassVar[dict[str, float]] = {
        "denoise": 80.0,
        "decode": 12.0,
        "write_video": 3.0,
        "encode_text": 3.0,
    }

    def __init__(self, bundle: Bundle) -> None:
        self._done: dict[str, tuple[float, float]] = {}
        total = 0.0
        for op in bundle.manifest["plan"]:
            share = self.SHARES.get(op["op"], 1.0)
            self._done[op["id"]] = (total, share)
            total += share
        self._total = total

    def at(self, event: ProgressEvent) -> tuple[float, str]:
        """Fraction of the run and one line of text."""
        before, share = self._done[event.op]
        fraction = min(1.0, (before + share * event.fraction) / self._total)
        steps = f": step {event.step} of {event.total}" if event.total > 1 else ""
        return fraction, f"{event.kind}{steps}"


def plain_json(value: Any) -> Any:
    """`value` as strict JSON: dataclasses become objects, numpy numbers plain ones, infinite ones null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_json({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
