"""The engine: runs a bundle with numpy and onnxruntime, to the video that ComfyUI makes from the same seed.

Knows nothing of networks, pairing or files outside the bundle. No torch, no comfy, no onnx, no PIL.
"""

from .errors import Cancelled, EngineError, InputError, SelfTestError
from .progress import ProgressEvent
from .run import RunResult, run_bundle
from .self_test import ComponentReport, self_test

__all__ = [
    "Cancelled",
    "ComponentReport",
    "EngineError",
    "InputError",
    "ProgressEvent",
    "RunResult",
    "SelfTestError",
    "run_bundle",
    "self_test",
]
