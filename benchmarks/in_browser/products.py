"""A network that is nothing but products of matrices: what a step costs where all else costs nothing.

Its time in WebAssembly over its native time is the floor under any network: vectors of 128 bits against those
that a desktop processor's native code uses.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, write_bundle
from onnx import helper

from .videos import save, with_plan

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from unit.engine import small

# As many as keep a step long enough to be timed, each with weights of its own, as blocks have.
BLOCKS = 4


def products(folder: Path, grid: tuple[int, int, int], width: int, inner: int) -> Bundle:
    """A video whose denoiser widens `grid` tokens from `width` to `inner` and back, `BLOCKS` times over."""
    base = folder / "network"
    (base / "graphs").mkdir(parents=True)
    (base / "weights").mkdir()
    draw = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (draw.standard_normal((rows, columns)) / rows**0.5).astype(np.float32)

    stages = [f"block_{number}" for number in range(BLOCKS)]
    latent = draw.standard_normal((1, width, 1, 2, 2)).astype(np.float32)
    tokens = np.moveaxis(latent, 1, -1)
    for name in stages:
        up, down = matrix(width, inner), matrix(inner, width)
        save(base / f"weights/{name}.safetensors", {"up": up, "down": down})
        tokens = tokens @ up @ down
    recorded = {"denoiser.in.latent": latent, "denoiser.out.velocity": np.moveaxis(tokens, -1, 1)}
    for name in ("prologue", "epilogue"):
        save(base / f"weights/{name}.safetensors", {"gain": np.ones(1, np.float32)})
    for name, graph in _graphs(width, inner).items():
        (base / f"graphs/{name}.onnx").write_bytes(graph)
    save(base / "self_test.safetensors", recorded)
    (base / "workflow.json").write_text("{}", encoding="utf-8")
    manifest: dict[str, Any] = small.manifest(guided=False, from_photo=False)
    denoiser = small.component("denoiser", ["latent"], ["velocity"], ["prologue", *stages, "epilogue"])
    manifest |= {
        "name": "products of matrices",
        "inputs": {},
        "plan": [],
        "components": {"denoiser": denoiser},
    }
    del manifest["self_test"]["components"]["vae_decoder"]
    return with_plan(write_bundle(base, manifest), folder / "video", (1, width, *grid))  # type: ignore[arg-type]


def _graphs(width: int, inner: int) -> dict[str, bytes]:
    """Tokens are channels-last between the first and the last graph, as a denoiser's are."""
    node = helper.make_node
    latent = ("latent", small.FLOAT, small.LATENT)
    tokens = ("tokens", small.FLOAT, ["B", "F", "H", "W", width])
    gain = ("gain", small.FLOAT, [1])
    return {
        "prologue": small.graph(
            [
                node("Mul", ["latent", "gain"], ["same"]),
                node("Transpose", ["same"], ["tokens"], perm=[0, 2, 3, 4, 1]),
            ],
            [latent, gain],
            [tokens],
        ),
        "block": small.graph(
            [node("MatMul", ["tokens", "up"], ["wide"]), node("MatMul", ["wide", "down"], ["tokens.next"])],
            [tokens, ("up", small.FLOAT, [width, inner]), ("down", small.FLOAT, [inner, width])],
            [("tokens.next", *tokens[1:])],
        ),
        "epilogue": small.graph(
            [
                node("Mul", ["tokens", "gain"], ["same"]),
                node("Transpose", ["same"], ["velocity"], perm=[0, 4, 1, 2, 3]),
            ],
            [tokens, gain],
            [("velocity", small.FLOAT, small.LATENT)],
        ),
    }
