"""Lets ComfyUI start where torch is a CPU-only build and torchvision and torchaudio are CUDA builds.

Only the tests and the demo need this: their environment mixes a CPU torch with the CUDA wheels of
torchvision and torchaudio, because those are what a registry offers. A user's own ComfyUI has wheels that
match and never sees this file.

`python cpu_shim.py SCRIPT [ARGUMENT ...]` installs the shim and then runs SCRIPT as `__main__`.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

# torchvision's Python half registers fake kernels for these operators, and that fails unless their schemas
# exist. The schemas normally come from its C++ library, which cannot load without CUDA.
TORCHVISION_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
TORCHAUDIO_LOADER = "torchaudio._extension.utils"


class _CpuHostFinder(importlib.abc.MetaPathFinder):
    """Steps in when torchvision or torchaudio is first imported, and never otherwise."""

    def __init__(self) -> None:
        self._library: Any = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torchvision":
            self._define_torchvision_schemas()
            return None
        if fullname == TORCHAUDIO_LOADER:
            return self._lenient_torchaudio(fullname, path)
        return None

    def _define_torchvision_schemas(self) -> None:
        import torch

        if torch.version.cuda is not None or self._library is not None:
            return
        # The library object owns the schemas: they vanish when it is collected.
        self._library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in TORCHVISION_SCHEMAS:
            self._library.define(schema)

    @staticmethod
    def _lenient_torchaudio(
        fullname: str, path: Sequence[str] | None
    ) -> importlib.machinery.ModuleSpec | None:
        """torchaudio treats a missing C++ library as optional but dies on one that does not load."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            load = module._load_lib

            def load_or_go_without(library: str) -> bool:
                try:
                    return bool(load(library))
                except OSError:
                    return False

            module._load_lib = load_or_go_without  # type: ignore[attr-defined]

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Put the shim in front of the import system; a second call changes nothing."""
    if not any(isinstance(finder, _CpuHostFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _CpuHostFinder())


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("Usage: cpu_shim.py SCRIPT [ARGUMENT ...]")
    del sys.argv[0]
    script = Path(sys.argv[0]).resolve()
    sys.path[0] = str(script.parent)
    install()
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
