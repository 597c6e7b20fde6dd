"""A bundle without a plan whose weights are far larger than its activations: twelve matrices of 8 MB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, write_bundle
from onnx import TensorProto, helper

from unit.engine import small

WIDTH = 1448
BLOCKS = 12
BLOCK_BYTES = WIDTH * WIDTH * 4
FLOAT = TensorProto.FLOAT


def build(folder: Path) -> Bundle:
    """Write the bundle: tokens = tanh(tokens @ weight), block after block."""
    draw = np.random.default_rng(0)
    (folder / "graphs").mkdir(parents=True)
    (folder / "weights").mkdir()
    names = [f"weights/{number:02}.safetensors" for number in range(BLOCKS)]
    tokens = draw.standard_normal((3, WIDTH)).astype(np.float32)
    expected = tokens
    for name in names:
        weight = draw.standard_normal((WIDTH, WIDTH)).astype(np.float32) / np.float32(WIDTH**0.5)
        small.save(folder / name, {"weight": weight})
        expected = np.tanh(expected @ weight)
    (folder / "graphs/block.onnx").write_bytes(
        small.graph(
            [
                helper.make_node("MatMul", ["tokens", "weight"], ["product"]),
                helper.make_node("Tanh", ["product"], ["tokens.next"]),
            ],
            [("tokens", FLOAT, ["N", WIDTH]), ("weight", FLOAT, [WIDTH, WIDTH])],
            [("tokens.next", FLOAT, ["N", WIDTH])],
        )
    )
    small.save(folder / "test.safetensors", {"net.in.tokens": tokens, "net.out.tokens": expected})
    (folder / "workflow.json").write_text("{}", encoding="utf-8")
    manifest: Any = {
        "format": "pocketvideo-bundle",
        "version": 1,
        "name": "heavy",
        "created_by": "the tests",
        "license": "",
        "inputs": {},
        "plan": [],
        "components": {
            "net": {
                "kind": "denoiser",
                "graphs": {"block": "graphs/block.onnx"},
                "stages": [{"graph": "block", "weights": name} for name in names],
                "inputs": ["tokens"],
                "outputs": ["tokens"],
            }
        },
        "files": [],
        "memory": {
            "weights": BLOCKS * BLOCK_BYTES,
            "largest_stage": BLOCK_BYTES,
            "activations_estimate": 4 * 3 * WIDTH * 4,
        },
        "self_test": {"file": "test.safetensors", "components": {"net": {"min_psnr": 60.0}}},
        "workflow": "workflow.json",
    }
    return write_bundle(folder, manifest)


def tokens(rows: int = 3, seed: int = 1) -> dict[str, np.ndarray]:
    """Inputs of the network."""
    return {"tokens": np.random.default_rng(seed).standard_normal((rows, WIDTH)).astype(np.float32)}
