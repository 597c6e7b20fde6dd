"""The engine: runs a bundle with numpy and onnxruntime, to the video that ComfyUI makes from the same seed.

Knows nothing of networks, pairing or files outside the bundle. No torch, no comfy, no onnx, no PIL.

The names below are fetched when they are first asked for: the desk shares `leap` with the device, and its
Python need not have onnxruntime or av.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import Cancelled, EngineError, InputError, SelfTestError
    from .progress import ProgressEvent
    from .run import RunResult, run_bundle
    from .self_testing import ComponentReport, self_test
    from .streaming import Sessions

__all__ = [
    "Cancelled",
    "ComponentReport",
    "EngineError",
    "InputError",
    "ProgressEvent",
    "RunResult",
    "SelfTestError",
    "Sessions",
    "run_bundle",
    "self_test",
]

# No module has the name of what it holds: once imported, it would stand in its place.
_HOMES = {
    "Cancelled": "errors",
    "ComponentReport": "self_testing",
    "EngineError": "errors",
    "InputError": "errors",
    "ProgressEvent": "progress",
    "RunResult": "run",
    "SelfTestError": "errors",
    "Sessions": "streaming",
    "run_bundle": "run",
    "self_test": "self_testing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
