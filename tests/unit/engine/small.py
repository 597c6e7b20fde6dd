"""A small bundle with every kind of op and component; its networks are formulas that numpy can repeat.

The denoiser runs as prologue, two blocks of one graph with different weights, and epilogue, so that weights
as graph inputs and names that are overwritten are on the way.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import safetensors.numpy
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, write_bundle
from onnx import TensorProto, checker, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
SHAPE = (1, 3, 4, 4, 6)
WORDS = {"<pad>": 0, "<end>": 1, "<unk>": 2, "a": 3, "red": 4, "circle": 5}
MAX_TOKENS = 6
LATENT = ["B", "C", "F", "H", "W"]

Weights = dict[str, dict[str, np.ndarray]]


def weights(seed: int = 0) -> Weights:
    """The numbers of the small networks, by weight file."""
    draw = np.random.default_rng(seed)
    return {
        "text_encoder": {"embedding": draw.standard_normal((len(WORDS), 3)).astype(np.float32)},
        "prologue": {"time_gain": np.array([0.3], np.float32)},
        "block_0": {"gain": np.array([0.6], np.float32), "offset": np.array([0.05], np.float32)},
        "block_1": {"gain": np.array([-0.4], np.float32), "offset": np.array([0.1], np.float32)},
        "epilogue": {"motion_gain": np.array([0.02], np.float32)},
        "vae_decoder": {"gain": np.array([0.7], np.float32)},
        "vae_encoder": {"gain": np.array([1.5], np.float32)},
    }


def velocity(
    numbers: Weights,
    latent: np.ndarray,
    timestep: np.ndarray,
    context: np.ndarray,
    mask: np.ndarray,
    motion: float,
) -> np.ndarray:
    """What the denoiser's graphs compute."""
    text = (context * mask[:, :, None]).sum(axis=1)[:, :, None, None, None]
    tokens = latent + numbers["prologue"]["time_gain"] * timestep[:, None, :, None, None]
    for name in ("block_0", "block_1"):
        tokens = np.tanh(tokens * numbers[name]["gain"] + text) + numbers[name]["offset"]
    return tokens + numbers["epilogue"]["motion_gain"] * np.float32(motion)


def decode(numbers: Weights, latent: np.ndarray) -> np.ndarray:
    """What the decoder's graph computes: frames at the latent's own size."""
    return np.tanh(latent * numbers["vae_decoder"]["gain"])


def encode(numbers: Weights, image: np.ndarray) -> np.ndarray:
    """What the encoder's graph computes."""
    return image * numbers["vae_encoder"]["gain"]


def photo() -> bytes:
    """A small PNG with a gradient, not square, so that cropping matters."""
    rows, columns = np.mgrid[0:10, 0:21]
    pixels = np.stack([rows * 20, columns * 10, 255 - rows * 10], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 21, 10, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def build(
    folder: Path, *, guided: bool = True, from_photo: bool = True, numbers: Weights | None = None
) -> Bundle:
    """Write the bundle below `folder`."""
    numbers = numbers or weights()
    for name in ("graphs", "weights"):
        (folder / name).mkdir(parents=True)
    for name, model in graphs().items():
        (folder / f"graphs/{name}.onnx").write_bytes(model)
    for name, arrays in numbers.items():
        save(folder / f"weights/{name}.safetensors", arrays)
    (folder / "tokenizer.json").write_text(tokenizer(), encoding="utf-8")
    (folder / "photo.png").write_bytes(photo())
    (folder / "workflow.json").write_text("{}", encoding="utf-8")
    save(folder / "self_test.safetensors", self_test_tensors(numbers))
    return write_bundle(folder, manifest(guided=guided, from_photo=from_photo))


def self_test_tensors(numbers: Weights) -> dict[str, np.ndarray]:
    """Seeded inputs and their outputs for the denoiser and the decoder."""
    draw = np.random.default_rng(1)
    latent = draw.standard_normal(SHAPE).astype(np.float32)
    timestep = np.full((1, SHAPE[2]), 0.5, np.float32)
    context = draw.standard_normal((1, MAX_TOKENS, 3)).astype(np.float32)
    mask = np.ones((1, MAX_TOKENS), np.float32)
    return {
        "denoiser.in.latent": latent,
        "denoiser.in.timestep": timestep,
        "denoiser.in.context": context,
        "denoiser.in.context_mask": mask,
        "denoiser.in.motion": np.ones(1, np.float32),
        "denoiser.out.velocity": velocity(numbers, latent, timestep, context, mask, 1.0),
        "vae_decoder.in.latent": latent,
        "vae_decoder.out.frames": decode(numbers, latent),
    }


def tokenizer() -> str:
    """Words, lower-cased, closed by an end token: what an exported tokenizer.json holds."""
    result = Tokenizer(models.WordLevel(WORDS, unk_token="<unk>"))
    result.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()])
    result.pre_tokenizer = pre_tokenizers.Whitespace()
    result.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", WORDS["<end>"])]
    )
    text: str = result.to_str()
    return text


def manifest(*, guided: bool = True, from_photo: bool = True) -> Any:
    """The manifest without its files."""
    inputs: dict[str, Any] = {
        "prompt": {"type": "text", "label": "Prompt", "default": "a red circle", "max_length": 100},
        "seed": {"type": "seed", "default": "18446744073709551615"},
        "steps": {"type": "integer", "label": "Steps", "default": 3, "minimum": 1, "maximum": 50},
        "motion": {"type": "number", "label": "Motion", "default": 2.0, "minimum": 0.0, "maximum": 10.0},
    }
    plan: list[dict[str, Any]] = [
        {"id": "positive", "op": "encode_text", "component": "text_encoder", "text": {"input": "prompt"}},
    ]
    if guided:
        plan.append({"id": "negative", "op": "encode_text", "component": "text_encoder", "text": ""})
    if from_photo:
        inputs["photo"] = {"type": "image", "label": "Photo", "width": 6, "height": 4, "default": "photo.png"}
        plan.append(
            {
                "id": "first",
                "op": "encode_image",
                "component": "vae_encoder",
                "image": {"input": "photo"},
                "width": 6,
                "height": 4,
            }
        )
    plan += [
        {"id": "noise", "op": "noise", "seed": {"input": "seed"}, "shape": list(SHAPE)},
        {
            "id": "sample",
            "op": "denoise",
            "component": "denoiser",
            "noise": {"op": "noise"},
            "positive": {"op": "positive"},
            "negative": {"op": "negative"} if guided else None,
            "guidance": 3.0 if guided else 1.0,
            "first_frame": {"op": "first"} if from_photo else None,
            "motion": {"input": "motion"},
            "sampler": "euler",
            "schedule": {
                "name": "simple",
                "steps": {"input": "steps"},
                "shift": 3.0,
                "denoise": 1.0,
                "multiplier": 1.0,
            },
        },
        {"id": "frames", "op": "decode", "component": "vae_decoder", "latent": {"op": "sample"}},
        {"id": "video", "op": "write_video", "frames": {"op": "frames"}, "fps": 8},
    ]
    components = {
        "text_encoder": {
            **component("text_encoder", ["input_ids", "attention_mask"], ["context"], ["text_encoder"]),
            "tokenizer": "tokenizer.json",
            "max_tokens": MAX_TOKENS,
            "pad_id": WORDS["<pad>"],
        },
        "denoiser": {
            **component(
                "denoiser",
                ["latent", "timestep", "context", "context_mask", "motion"],
                ["velocity"],
                ["prologue", "block_0", "block_1", "epilogue"],
            ),
            "latent_rgb": {"factors": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "bias": [0, 0, 0]},
        },
        "vae_encoder": component("vae_encoder", ["image"], ["latent"], ["vae_encoder"]),
        "vae_decoder": component("vae_decoder", ["latent"], ["frames"], ["vae_decoder"]),
    }
    return {
        "format": "pocketvideo-bundle",
        "version": 1,
        "name": "small",
        "created_by": "the tests",
        "license": "Apache-2.0",
        "inputs": inputs,
        "plan": plan,
        "components": components,
        "files": [],
        "memory": {"weights": 1000, "largest_stage": 1000, "activations_estimate": 100000},
        "self_test": {
            "file": "self_test.safetensors",
            "components": {"denoiser": {"min_psnr": 60.0}, "vae_decoder": {"min_psnr": 60.0}},
        },
        "workflow": "workflow.json",
    }


def component(kind: str, inputs: list[str], outputs: list[str], stages: list[str]) -> dict[str, Any]:
    """A component whose stages `block_0`, `block_1` share the graph `block`."""
    names = [stage.split("_")[0] if stage.startswith("block") else stage for stage in stages]
    return {
        "kind": kind,
        "graphs": {name: f"graphs/{name}.onnx" for name in names},
        "stages": [
            {"graph": name, "weights": f"weights/{stage}.safetensors"}
            for name, stage in zip(names, stages, strict=True)
        ],
        "inputs": inputs,
        "outputs": outputs,
    }


def graphs() -> dict[str, bytes]:
    """Every graph of the bundle."""
    node = helper.make_node
    latent = ("latent", FLOAT, LATENT)
    tokens = ("tokens", FLOAT, LATENT)
    text = ("text", FLOAT, ["B", "C", 1, 1, 1])
    return {
        "text_encoder": graph(
            [node("Gather", ["embedding", "input_ids"], ["context"])],
            [("embedding", FLOAT, ["V", "D"]), ("input_ids", INT64, ["B", "L"])],
            [("context", FLOAT, ["B", "L", "D"])],
        ),
        "prologue": graph(
            [
                node("Constant", [], ["last"], value_ints=[2]),
                node("Constant", [], ["middle"], value_ints=[1]),
                node("Constant", [], ["around"], value_ints=[1, 3, 4]),
                node("Constant", [], ["after"], value_ints=[2, 3, 4]),
                node("Unsqueeze", ["context_mask", "last"], ["kept"]),
                node("Mul", ["context", "kept"], ["masked"]),
                node("ReduceSum", ["masked", "middle"], ["summed"], keepdims=0),
                node("Unsqueeze", ["summed", "after"], ["text"]),
                node("Unsqueeze", ["timestep", "around"], ["time"]),
                node("Mul", ["time", "time_gain"], ["scaled"]),
                node("Add", ["latent", "scaled"], ["tokens"]),
            ],
            [
                latent,
                ("timestep", FLOAT, ["B", "F"]),
                ("context", FLOAT, ["B", "L", "C"]),
                ("context_mask", FLOAT, ["B", "L"]),
                ("time_gain", FLOAT, [1]),
            ],
            [tokens, text],
        ),
        "block": graph(
            [
                node("Mul", ["tokens", "gain"], ["scaled"]),
                node("Add", ["scaled", "text"], ["shifted"]),
                node("Tanh", ["shifted"], ["bent"]),
                node("Add", ["bent", "offset"], ["tokens.next"]),
            ],
            [tokens, text, ("gain", FLOAT, [1]), ("offset", FLOAT, [1])],
            [("tokens.next", FLOAT, LATENT)],
        ),
        "epilogue": graph(
            [
                node("Mul", ["motion", "motion_gain"], ["pushed"]),
                node("Constant", [], ["after"], value_ints=[1, 2, 3, 4]),
                node("Unsqueeze", ["pushed", "after"], ["push"]),
                node("Add", ["tokens", "push"], ["velocity"]),
            ],
            [tokens, ("motion", FLOAT, ["B"]), ("motion_gain", FLOAT, [1])],
            [("velocity", FLOAT, LATENT)],
        ),
        "vae_decoder": graph(
            [node("Mul", ["latent", "gain"], ["louder"]), node("Tanh", ["louder"], ["frames"])],
            [latent, ("gain", FLOAT, [1])],
            [("frames", FLOAT, LATENT)],
        ),
        "vae_encoder": graph(
            [node("Mul", ["image", "gain"], ["latent"])],
            [("image", FLOAT, LATENT), ("gain", FLOAT, [1])],
            [latent],
        ),
    }


def graph(nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> bytes:
    """The bytes of a checked ONNX model of opset 18."""
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write safetensors."""
    safetensors.numpy.save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)


def text_features(numbers: Weights, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Context and mask of a prompt, as the desk would make them."""
    ids = [WORDS[word] for word in words] + [WORDS["<end>"]]
    mask = np.array([[1] * len(ids) + [0] * (MAX_TOKENS - len(ids))], np.float32)
    ids += [WORDS["<pad>"]] * (MAX_TOKENS - len(ids))
    return numbers["text_encoder"]["embedding"][ids][None], mask


def loads(comment: str) -> dict[str, Any]:
    """The settings that a video carries."""
    result: dict[str, Any] = json.loads(comment)
    return result
