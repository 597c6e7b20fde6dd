"""Writes turbo_vaed.json: what the published code of Turbo-VAED computes, for the test of our own decoder.

    .venv/bin/python tests/unit/export/adapters/turbo_reference.py PATH/TO/autoencoder_kl_turbo_vaed.py

The file is that of github.com/hustvl/Turbo-VAED. It is read from there and is not part of this repository.
"""

from __future__ import annotations

import json
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import torch

TARGET = Path(__file__).with_name("turbo_vaed.json")
CONFIG: dict[str, Any] = {
    "in_channels": 8,
    "block_out_channels": [16, 24, 32],
    "spatio_temporal_scaling": [True, True, False],
    "layers_per_block": [1, 2, 1, 2],
    "decoder_is_dw_conv": [False, False, True, True],
    "decoder_dw_kernel_size": 5,
    "spatio_only": [True, False, False],
    "inject_noise": [False, False, False, False],
    "upsample_residual": [False, False, False],
    "upsample_factor": [1, 1, 1],
    "patch_size": 4,
}
SHAPE = (1, 8, 2, 2, 1)


def fill(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A weight's numbers by its name alone."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = 0.25 * torch.randn(shape, generator=generator)
    return values + 1 if name.endswith("norm3.weight") else values


def published(path: Path) -> Any:
    """The published module, with what it needs of diffusers from the installed one."""
    text = path.read_text("utf-8")
    for there, here in (
        ("from .vae import", "from diffusers.models.autoencoders.vae import"),
        ("from ...", "from diffusers."),
        ("from ..", "from diffusers.models."),
        ("from timm.models.vision_transformer import Mlp", "Mlp = None"),
    ):
        text = text.replace(there, here)
    module = types.ModuleType("turbo_vaed_published")
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def main() -> None:
    decoder = published(Path(sys.argv[1])).TurboVAEDDecoder3d(**CONFIG).eval()
    shapes = {name: tuple(value.shape) for name, value in decoder.state_dict().items()}
    decoder.load_state_dict({name: fill(name, shape) for name, shape in shapes.items()})
    latent = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        frames = decoder(latent)
    made = {
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "latent_shape": list(SHAPE),
        "frames_shape": list(frames.shape),
        "frames": [float(f"{value:.7g}") for value in frames.flatten().tolist()],
    }
    TARGET.write_text(json.dumps(made, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
