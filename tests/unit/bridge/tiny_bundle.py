"""A small bundle that really runs: a "video model" of a few numbers, plus random ballast to send."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tokenizers
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, write_bundle
from onnx import TensorProto, helper

SHAPE = (1, 3, 5, 16, 16)
WIDTH = 8
WORDS = {"[PAD]": 0, "[UNK]": 1, "a": 2, "red": 3, "circle": 4}
FLOAT = TensorProto.FLOAT


def build(
    folder: Path, *, ballast: tuple[int, ...] = (), seed: int = 0, shape: tuple[int, ...] = SHAPE
) -> Bundle:
    """Write the bundle; `ballast` gives the sizes of further random files, in bytes."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "graphs").mkdir()
    (folder / "weights").mkdir()
    embedding = random.standard_normal((len(WORDS), WIDTH)).astype(np.float32)
    scale = np.array([0.5], np.float32)
    _graph(
        folder / "graphs/text_encoder.onnx",
        [helper.make_node("Gather", ["embedding", "input_ids"], ["context"])],
        [("embedding", FLOAT, ["V", "D"]), ("input_ids", TensorProto.INT64, ["B", "L"])],
        [("context", FLOAT, ["B", "L", "D"])],
    )
    _graph(
        folder / "graphs/denoiser.onnx",
        [
            helper.make_node("Constant", [], ["axes"], value_ints=[1, 2]),
            helper.make_node("Constant", [], ["last"], value_ints=[3, 4]),
            helper.make_node("ReduceMean", ["context", "axes"], ["mean"], keepdims=1),
            helper.make_node("Unsqueeze", ["mean", "last"], ["bias"]),
            helper.make_node("Mul", ["latent", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["velocity"]),
        ],
        [
            ("latent", FLOAT, ["B", "C", "F", "H", "W"]),
            ("context", FLOAT, ["B", "L", "D"]),
            ("scale", FLOAT, [1]),
        ],
        [("velocity", FLOAT, ["B", "C", "F", "H", "W"])],
    )
    _graph(
        folder / "graphs/vae_decoder.onnx",
        [
            helper.make_node("Mul", ["latent", "gain"], ["louder"]),
            helper.make_node("Tanh", ["louder"], ["frames"]),
        ],
        [("latent", FLOAT, ["B", "C", "F", "H", "W"]), ("gain", FLOAT, [1])],
        [("frames", FLOAT, ["B", "C", "F", "H", "W"])],
    )
    tensors(folder / "weights/text_encoder.safetensors", {"embedding": embedding})
    tensors(folder / "weights/denoiser.safetensors", {"scale": scale})
    tensors(folder / "weights/vae_decoder.safetensors", {"gain": np.array([0.7], np.float32)})
    model = tokenizers.models.WordLevel(WORDS, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    (folder / "workflow.json").write_text("{}", encoding="utf-8")
    latent = random.standard_normal(SHAPE).astype(np.float32)
    tensors(
        folder / "self_test.safetensors",
        {"vae_decoder.in.latent": latent, "vae_decoder.out.frames": np.tanh(latent * np.float32(0.7))},
    )
    for index, size in enumerate(ballast):
        (folder / f"ballast_{index}.bin").write_bytes(random.bytes(size))
    return write_bundle(folder, _manifest(shape))


def _manifest(shape: tuple[int, ...]) -> Any:
    return {
        "format": "pocketvideo-bundle",
        "version": 1,
        "name": "tiny",
        "created_by": "the tests",
        "license": "Apache-2.0",
        "inputs": {
            "prompt": {"type": "text", "label": "Prompt", "default": "a red circle", "max_length": 100},
            "seed": {"type": "seed", "default": "42"},
            "steps": {"type": "integer", "label": "Steps", "default": 2, "minimum": 1, "maximum": 1000},
        },
        "plan": [
            {"id": "text", "op": "encode_text", "component": "text_encoder", "text": {"input": "prompt"}},
            {"id": "noise", "op": "noise", "seed": {"input": "seed"}, "shape": list(shape)},
            {
                "id": "latent",
                "op": "denoise",
                "component": "denoiser",
                "noise": {"op": "noise"},
                "positive": {"op": "text"},
                "negative": None,
                "guidance": 1.0,
                "first_frame": None,
                "motion": 1.0,
                "sampler": "euler",
                "schedule": {
                    "name": "simple",
                    "steps": {"input": "steps"},
                    "shift": 1.0,
                    "denoise": 1.0,
                    "multiplier": 1.0,
                },
            },
            {"id": "frames", "op": "decode", "component": "vae_decoder", "latent": {"op": "latent"}},
            {"id": "video", "op": "write_video", "frames": {"op": "frames"}, "fps": 8},
        ],
        "components": {
            "text_encoder": {
                "kind": "text_encoder",
                "tokenizer": "tokenizer.json",
                "max_tokens": 8,
                "pad_id": 0,
                **_stage("text_encoder", ["input_ids", "attention_mask"], ["context"]),
            },
            "denoiser": {
                "kind": "denoiser",
                **_stage(
                    "denoiser", ["latent", "timestep", "context", "context_mask", "motion"], ["velocity"]
                ),
            },
            "vae_decoder": {"kind": "vae_decoder", **_stage("vae_decoder", ["latent"], ["frames"])},
        },
        "files": [],
        "memory": {"weights": 1000, "largest_stage": 1000, "activations_estimate": 100000},
        "self_test": {"file": "self_test.safetensors", "components": {"vae_decoder": {"min_psnr": 60.0}}},
        "workflow": "workflow.json",
    }


def _stage(name: str, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    return {
        "graphs": {"all": f"graphs/{name}.onnx"},
        "stages": [{"graph": "all", "weights": f"weights/{name}.safetensors"}],
        "inputs": inputs,
        "outputs": outputs,
    }


def _graph(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def tensors(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write float32 arrays as safetensors."""
    header: dict[str, Any] = {}
    body = b""
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
