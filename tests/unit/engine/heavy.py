"""Bundles without a plan: one whose weights are far larger than its activations, one the other way round."""

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
# The other bundle: narrow tokens, wide within a block.
NARROW, WIDE = 16, 4096
FLOAT = TensorProto.FLOAT


def build(folder: Path) -> Bundle:
    """Twelve matrices of 8 MB: tokens = tanh(tokens @ weight), block after block."""
    draw = np.random.default_rng(0)
    weights = [draw.standard_normal((WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5 for _ in range(BLOCKS)]
    tokens = draw.standard_normal((3, WIDTH)).astype(np.float32)
    expected = tokens
    for weight in weights:
        expected = np.tanh(expected @ weight)
    graph = small.graph(
        [
            helper.make_node("MatMul", ["tokens", "weight"], ["product"]),
            helper.make_node("Tanh", ["product"], ["tokens.next"]),
        ],
        [("tokens", FLOAT, ["N", WIDTH]), ("weight", FLOAT, [WIDTH, WIDTH])],
        [("tokens.next", FLOAT, ["N", WIDTH])],
    )
    return _write(folder, [graph], [{"weight": np.float32(one)} for one in weights], tokens, expected)


def wide(folder: Path, kinds: int) -> Bundle:
    """Four blocks by so many graphs in turn: tokens = tanh(tokens @ up) @ down."""
    draw = np.random.default_rng(0)
    up, down = (
        draw.standard_normal(shape).astype(np.float32) / 64 for shape in [(NARROW, WIDE), (WIDE, NARROW)]
    )
    graph = small.graph(
        [
            helper.make_node("MatMul", ["tokens", "up"], ["wide"]),
            helper.make_node("Tanh", ["wide"], ["bent"]),
            helper.make_node("MatMul", ["bent", "down"], ["tokens.next"]),
        ],
        [("tokens", FLOAT, ["N", NARROW]), ("up", FLOAT, [NARROW, WIDE]), ("down", FLOAT, [WIDE, NARROW])],
        [("tokens.next", FLOAT, ["N", NARROW])],
    )
    tokens = draw.standard_normal((3, NARROW)).astype(np.float32)
    expected = tokens
    for _ in range(4):
        expected = np.tanh(expected @ up) @ down
    return _write(folder, [graph] * kinds, [{"up": up, "down": down}] * 4, tokens, expected)


def tokens(rows: int = 3, seed: int = 1) -> dict[str, np.ndarray]:
    """Inputs of the network with large weights."""
    return {"tokens": np.random.default_rng(seed).standard_normal((rows, WIDTH)).astype(np.float32)}


def _write(
    folder: Path,
    graphs: list[bytes],
    weights: list[dict[str, np.ndarray]],
    tokens: np.ndarray,
    expected: np.ndarray,
) -> Bundle:
    (folder / "graphs").mkdir(parents=True)
    (folder / "weights").mkdir()
    paths = {f"kind_{number}": f"graphs/kind_{number}.onnx" for number in range(len(graphs))}
    for path, graph in zip(paths.values(), graphs, strict=True):
        (folder / path).write_bytes(graph)
    stages = []
    for number, values in enumerate(weights):
        name = f"weights/{number:02}.safetensors"
        small.save(folder / name, values)
        stages.append({"graph": f"kind_{number % len(graphs)}", "weights": name})
    small.save(folder / "test.safetensors", {"net.in.tokens": tokens, "net.out.tokens": expected})
    (folder / "workflow.json").write_text("{}", encoding="utf-8")
    sizes = [sum(value.nbytes for value in values.values()) for values in weights]
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
                "graphs": paths,
                "stages": stages,
                "inputs": ["tokens"],
                "outputs": ["tokens"],
            }
        },
        "files": [],
        "memory": {
            "weights": sum(sizes),
            "largest_stage": max(sizes),
            "activations_estimate": 4 * tokens.nbytes,
        },
        "self_test": {"file": "test.safetensors", "components": {"net": {"min_psnr": 60.0}}},
        "workflow": "workflow.json",
    }
    return write_bundle(folder, manifest)
