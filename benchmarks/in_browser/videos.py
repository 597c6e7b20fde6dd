"""A plan around a network that was exported alone, so that both engines run the same steps of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy
from comfyui_pocketvideo.mobile_runtime.bundle import MANIFEST_NAME, Bundle, open_tensors, write_bundle
from onnx import TensorProto, helper

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from unit.engine import small

DECODER = "tests_decoder"


def with_plan(bundle: Bundle, folder: Path, shape: tuple[int, ...]) -> Bundle:
    """The denoiser of a bundle in a video of this latent: one prompt, and three channels as colours."""
    for name in bundle.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(bundle.path(name), target)
    recorded = open_tensors(bundle.path(bundle.manifest["self_test"]["file"]))
    text = {"context": np.zeros((1, 1, 1), np.float32), "mask": np.ones((1, 1), np.float32)}
    if "denoiser.in.context" in recorded:
        text = {"context": recorded["denoiser.in.context"], "mask": recorded["denoiser.in.context_mask"]}
    save(folder / "text.safetensors", {name: value.astype(np.float32) for name, value in text.items()})
    save(folder / "colours.safetensors", {"gain": np.array([0.5], np.float32)})
    (folder / "colours.onnx").write_bytes(_colours())
    manifest = {**bundle.manifest}
    manifest["inputs"] = {
        "seed": {"type": "seed", "default": "0"},
        "steps": {"type": "integer", "label": "Steps", "default": 3, "minimum": 1, "maximum": 50},
    }
    manifest["plan"] = [
        {"id": "text", "op": "load_text", "features": "text.safetensors"},
        {"id": "noise", "op": "noise", "seed": {"input": "seed"}, "shape": list(shape)},
        {
            "id": "sample",
            "op": "denoise",
            "component": "denoiser",
            "noise": {"op": "noise"},
            "positive": {"op": "text"},
            "negative": None,
            "guidance": 1.0,
            "first_frame": None,
            "motion": 2.0,
            "sampler": "euler",
            "schedule": {
                "name": "simple",
                "steps": {"input": "steps"},
                "shift": 3.0,
                "denoise": 1.0,
                "multiplier": 1.0,
            },
        },
        {"id": "frames", "op": "decode", "component": DECODER, "latent": {"op": "sample"}},
        {"id": "video", "op": "write_video", "frames": {"op": "frames"}, "fps": 8},
    ]
    decoder = {
        "kind": "vae_decoder",
        "graphs": {"colours": "colours.onnx"},
        "stages": [{"graph": "colours", "weights": "colours.safetensors"}],
        "inputs": ["latent"],
        "outputs": ["frames"],
    }
    manifest["components"] = {"denoiser": bundle.manifest["components"]["denoiser"], DECODER: decoder}
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    return write_bundle(folder, manifest)  # type: ignore[arg-type]


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write safetensors."""
    safetensors.numpy.save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)


def _colours() -> bytes:
    """The first three channels, made smaller."""
    node = helper.make_node
    latent = ("latent", TensorProto.FLOAT, small.LATENT)
    return small.graph(
        [
            node("Constant", [], ["from"], value_ints=[0]),
            node("Constant", [], ["to"], value_ints=[3]),
            node("Constant", [], ["axis"], value_ints=[1]),
            node("Slice", ["latent", "from", "to", "axis"], ["three"]),
            node("Mul", ["three", "gain"], ["softer"]),
            node("Tanh", ["softer"], ["frames"]),
        ],
        [latent, ("gain", TensorProto.FLOAT, [1])],
        [("frames", TensorProto.FLOAT, small.LATENT)],
    )
