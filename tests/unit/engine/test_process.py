"""What the device's process may hold: a run imports neither torch nor comfy nor any helper of the desk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from unit.engine import small

FORBIDDEN = (
    "torch",
    "comfy",
    "onnx",
    "PIL",
    "transformers",
    "diffusers",
    "safetensors",
    "fastjsonschema",
    "jsonschema",
    "scipy",
)
PROGRAM = """
import importlib, pkgutil, sys
import comfyui_pocketvideo.mobile_runtime as runtime
for room in ("bundle", "engine", "agent"):
    package = importlib.import_module(f"{runtime.__name__}.{room}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
bundle = Bundle.open(sys.argv[1])
bundle.verify()
self_test(bundle, threads=1)
run_bundle(bundle, threads=1, output_dir=sys.argv[2])
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_run_needs_no_torch_and_no_onnx(tmp_path: Path) -> None:
    small.build(tmp_path / "bundle")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "bundle"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"numpy", "onnxruntime", "tokenizers", "av"} <= loaded
    assert not loaded & set(FORBIDDEN)
