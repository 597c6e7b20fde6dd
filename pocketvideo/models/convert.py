"""`python -m comfyui_pocketvideo.pocketvideo.models.convert`: a published MobileI2V `.pth` to safetensors.

The release is a pickle (`{"state_dict": ...}`), read with `weights_only=True`, which runs no code. This is
the only place in the project that opens a pickle.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .checkpoint import METADATA_KEY, ModelFileError
from .config import MOBILEI2V_270M, DenoiserConfig
from .denoiser import Denoiser


def read_mobilei2v(path: Path) -> dict[str, Tensor]:
    """The denoiser's state dict of a published checkpoint. Raises ModelFileError."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no checkpoint '{path}'.") from error
    except Exception as error:
        raise ModelFileError(
            f"'{path.name}' cannot be read as plain weights ({type(error).__name__}); it may hold code. "
            "Fetch hybrid_371.pth from its publisher again."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelFileError(
            f"'{path.name}' has no state_dict of tensors, so it is not a MobileI2V checkpoint."
        )
    return state


def load_mobilei2v(state: dict[str, Tensor], config: DenoiserConfig = MOBILEI2V_270M) -> Denoiser:
    """Load strictly by the published key names. Raises ModelFileError that lists what does not fit."""
    denoiser = Denoiser(config, device="meta")
    try:
        denoiser.load_state_dict(dict(state), strict=True, assign=True)
    except RuntimeError as error:
        raise ModelFileError(f"The checkpoint does not fit MobileI2V's network: {error}") from error
    return denoiser.eval().requires_grad_(False)


def convert(source: Path, target: Path, dtype: torch.dtype = torch.float16) -> int:
    """Write `target` and return its parameter count."""
    denoiser = load_mobilei2v(read_mobilei2v(source))
    state = {f"denoiser.{key}": value.to(dtype).contiguous() for key, value in denoiser.state_dict().items()}
    config = {"format": 1, "name": "mobilei2v_270m", "denoiser": MOBILEI2V_270M.to_dict(), "license": "MIT"}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, target, metadata={METADATA_KEY: json.dumps(config), "format": "pt"})
    return sum(parameter.numel() for parameter in denoiser.parameters())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="comfyui_pocketvideo.pocketvideo.models.convert", description=__doc__
    )
    parser.add_argument("source", type=Path, help="hybrid_371.pth")
    parser.add_argument("target", type=Path, help="the safetensors file to write")
    parser.add_argument("--dtype", choices=("float16", "float32", "bfloat16"), default="float16")
    arguments = parser.parse_args(argv)
    try:
        count = convert(arguments.source, arguments.target, getattr(torch, arguments.dtype))
    except ModelFileError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Wrote {arguments.target}: {count:,} parameters.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
