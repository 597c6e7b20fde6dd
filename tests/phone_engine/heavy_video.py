"""A bundle that makes a video with a network whose weights are far larger than its activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, write_bundle
from onnx import TensorProto, helper

from unit.engine import small

WIDTH = 1024
BLOCKS = 8
BLOCK_BYTES = WIDTH * WIDTH * 4


# A run of so many steps is met in its middle by any test, on any machine.
ENDLESS = 1000


def build(folder: Path, blocks: int = BLOCKS, width: int = WIDTH, bits: int = 32) -> Bundle:
    """Two prompts, three steps, `blocks` matrices of 32 or 8 `bits` between two narrow layers.

    Up to `ENDLESS` steps can be asked for.
    """
    small.build(folder, from_photo=False)
    draw = np.random.default_rng(0)

    def matrix(*shape: int) -> np.ndarray:
        return (draw.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32)

    small.save(folder / "weights/prologue.safetensors", {"up": matrix(6, width)})
    small.save(folder / "weights/epilogue.safetensors", {"down": matrix(width, 6)})
    stages = ["prologue"]
    for number in range(blocks):
        weight = matrix(width, width)
        if bits == 8:
            weight = np.rint(weight / np.abs(weight).max() * 127).astype(np.int8)
        small.save(folder / f"weights/block_{number}.safetensors", {"weight": weight})
        stages.append(f"block_{number}")
    stages.append("epilogue")
    for name, data in _graphs(width, bits).items():
        (folder / f"graphs/{name}.onnx").write_bytes(data)
    manifest = small.manifest(from_photo=False)
    manifest["inputs"]["steps"]["maximum"] = ENDLESS
    manifest["components"]["denoiser"] = small.component(
        "denoiser", ["latent", "context"], ["velocity"], stages
    )
    # What the small network recorded is not what this one gives.
    del manifest["self_test"]["components"]["denoiser"]
    return write_bundle(folder, manifest)


def _graphs(width: int, bits: int) -> dict[str, bytes]:
    node, latent = helper.make_node, ("latent", small.FLOAT, small.LATENT)
    tokens = ("tokens", small.FLOAT, [*small.LATENT[:-1], width])
    text = ("text", small.FLOAT, ["B", 1, 1])
    wider = [
        node("Cast", ["weight"], ["whole"], to=small.FLOAT),
        node("Constant", [], ["scale"], value_float=1 / 127),
        node("Mul", ["whole", "scale"], ["numbers"]),
    ]
    wider = wider if bits == 8 else []
    return {
        "prologue": small.graph(
            [
                node("MatMul", ["latent", "up"], ["tokens"]),
                node("Constant", [], ["all"], value_ints=[1, 2]),
                node("ReduceMean", ["context", "all"], ["text"]),
            ],
            [latent, ("context", small.FLOAT, ["B", "L", "D"]), ("up", small.FLOAT, [6, width])],
            [tokens, text],
        ),
        "block": small.graph(
            [
                *wider,
                node("MatMul", ["tokens", "numbers" if bits == 8 else "weight"], ["product"]),
                node("Add", ["product", "text"], ["moved"]),
                node("Tanh", ["moved"], ["tokens.next"]),
            ],
            [tokens, text, ("weight", TensorProto.INT8 if bits == 8 else small.FLOAT, [width, width])],
            [("tokens.next", small.FLOAT, [*small.LATENT[:-1], width])],
        ),
        "epilogue": small.graph(
            [node("MatMul", ["tokens", "down"], ["velocity"])],
            [tokens, ("down", small.FLOAT, [width, 6])],
            [("velocity", small.FLOAT, small.LATENT)],
        ),
    }
