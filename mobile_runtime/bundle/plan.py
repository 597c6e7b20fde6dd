"""Checks that a plan adds up: single assignment, values of the kind each op needs, inputs within bounds.

The schema has already checked the shape of each op; this module knows nothing of files or of running.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from ._types import Denoise, Input, Manifest, Op, Tiles
from .errors import ManifestError

MAX_LATENT_ELEMENTS = 2**28
MAX_SEED = 2**64 - 1

# What each op makes, and what its references must be.
RESULT = {
    "encode_text": "text features",
    "load_text": "text features",
    "zero_text": "text features",
    "encode_image": "latent",
    "noise": "noise",
    "denoise": "latent",
    "decode": "frames",
    "write_video": "video",
}
_OPERANDS = {
    "zero_text": {"text": "text features"},
    "denoise": {
        "noise": "noise",
        "latent": "latent",
        "positive": "text features",
        "negative": "text features",
        "first_frame": "latent",
        "given": "latent",
    },
    "decode": {"latent": "latent"},
    "write_video": {"frames": "frames"},
}
# The types of input that may stand for a field.
_INPUTS = {
    "text": ("text",),
    "image": ("image",),
    "seed": ("seed",),
    "renoise_seed": ("seed",),
    "steps": ("integer",),
    "guidance": ("number", "integer"),
    "motion": ("number", "integer"),
}
_COMPONENT_KIND = {
    "encode_text": "text_encoder",
    "encode_image": "vae_encoder",
    "denoise": "denoiser",
    "decode": "vae_decoder",
}


def check_plan(manifest: Manifest) -> None:
    """Raise ManifestError naming the first op or input that does not add up."""
    for name, spec in manifest["inputs"].items():
        _check_input(name, spec)
    made: dict[str, str] = {}
    for op in manifest["plan"]:
        where = f"The op {op['id']!r} ({op['op']})"
        if op["id"] in made:
            raise ManifestError(f"{where} uses an id that an earlier op has; give every op an id of its own.")
        _check_component(manifest, op, where)
        _check_operands(op, made, where)
        _check_inputs(manifest, op, where)
        if op["op"] == "noise":
            _check_noise(op["shape"], op["seed"], where)
        elif op["op"] == "denoise":
            _check_denoise(op, where)
        elif op["op"] == "decode" and "tiles" in op:
            _check_tiles(op["tiles"], where)
        made[op["id"]] = RESULT[op["op"]]
    videos = sum(kind == "video" for kind in made.values())
    # Without a plan a bundle only carries networks, to be tested and measured.
    if manifest["plan"] and videos != 1:
        raise ManifestError(
            f"The plan writes {videos} videos and must write one; end it with one write_video op."
        )


def input_files(manifest: Manifest) -> Iterable[str]:
    """The files that inputs and literal photos of the plan name."""
    for spec in manifest["inputs"].values():
        if spec["type"] == "image":
            yield spec["default"]
    for op in manifest["plan"]:
        if op["op"] == "encode_image" and isinstance(op["image"], str):
            yield op["image"]


def feature_files(manifest: Manifest) -> Iterable[str]:
    """The files of text features that the plan names."""
    for op in manifest["plan"]:
        if op["op"] == "load_text":
            yield op["features"]


def _check_input(name: str, spec: Input) -> None:
    if spec["type"] == "text":
        if len(spec["default"]) > spec["max_length"]:
            raise ManifestError(
                f"The default of the input {name!r} is longer than its max_length; shorten it."
            )
    elif spec["type"] == "seed":
        _check_seed(spec["default"], f"The input {name!r}")
    elif spec["type"] != "image" and not spec["minimum"] <= spec["default"] <= spec["maximum"]:
        raise ManifestError(
            f"The default of the input {name!r} is not between its minimum and maximum; correct the bounds."
        )


def _check_component(manifest: Manifest, op: Op, where: str) -> None:
    needed = _COMPONENT_KIND.get(op["op"])
    if needed is None:
        return
    _check_kind(manifest, op["component"], needed, where)  # type: ignore[typeddict-item]
    if op["op"] == "denoise" and "merge" in op:
        _check_kind(manifest, op["merge"]["component"], needed, where)
    if op["op"] == "decode" and "next" in op:
        _check_kind(manifest, op["next"], needed, where)
    if op["op"] == "encode_image" and "later" in op:
        _check_kind(manifest, op["later"]["component"], needed, where)


def _check_kind(manifest: Manifest, name: str, needed: str, where: str) -> None:
    component = manifest["components"].get(name)
    if component is None:
        raise ManifestError(
            f"{where} names the component {name!r}, which the manifest lacks; export it again."
        )
    if component["kind"] != needed:
        raise ManifestError(
            f"{where} needs a {needed} and {name!r} is a {component['kind']}; name the right one."
        )


def _check_operands(op: Op, made: dict[str, str], where: str) -> None:
    for field, kind in _OPERANDS.get(op["op"], {}).items():
        reference: Any = op.get(field)
        if field == "given" and reference is not None:
            reference = reference.get("latent")
        if reference is None:
            continue
        found = made.get(reference["op"])
        if found is None:
            raise ManifestError(
                f"{where} uses {reference['op']!r}, which no earlier op makes; reorder the plan."
            )
        if found != kind:
            raise ManifestError(f"{where} needs {kind} as {field} and {reference['op']!r} makes {found}.")


def _check_inputs(manifest: Manifest, op: Op, where: str) -> None:
    fields: dict[str, Any] = {**op, **op["schedule"]} if op["op"] == "denoise" else dict(op)
    for field, types in _INPUTS.items():
        value = fields.get(field)
        if not isinstance(value, dict) or "input" not in value:
            continue
        spec = manifest["inputs"].get(value["input"])
        if spec is None:
            raise ManifestError(
                f"{where} uses the input {value['input']!r}, which the manifest lacks; export again."
            )
        if spec["type"] not in types:
            raise ManifestError(
                f"{where} needs an input of type {types[0]} as {field}, and {value['input']!r} is of type"
                f" {spec['type']}; export again."
            )
        if (
            field == "steps"
            and spec["type"] == "integer"
            and not 1 <= spec["minimum"] <= spec["maximum"] <= 1000
        ):
            raise ManifestError(
                f"The input {value['input']!r} sets steps, so its bounds must lie within 1 to 1000."
            )


def _check_noise(shape: list[int], seed: Any, where: str) -> None:
    if shape[0] != 1:
        raise ManifestError(
            f"{where} asks for a batch of {shape[0]} and a device makes one video; set it to 1."
        )
    if math.prod(shape) > MAX_LATENT_ELEMENTS:
        raise ManifestError(
            f"{where} asks for {math.prod(shape)} elements and the limit is {MAX_LATENT_ELEMENTS};"
            " ask for a smaller video."
        )
    if isinstance(seed, str):
        _check_seed(seed, where)


def _check_denoise(op: Denoise, where: str) -> None:
    latent = op.get("latent")
    if latent is None and op["noise"] is None:
        raise ManifestError(f"{where} has neither noise nor a latent to begin with; give it one of them.")
    if latent is not None and op["first_frame"] is not None:
        raise ManifestError(
            f"{where} has a latent and a first frame; the frame is in the latent, so set keep_first_frame."
        )
    if latent is None and op.get("keep_first_frame", False):
        raise ManifestError(f"{where} keeps the first frame of a latent that it does not have; give it one.")
    fresh = op.get("renoise_seed")
    if (op["sampler"] == "renoise") != (fresh is not None):
        raise ManifestError(f"{where} needs a renoise_seed for the sampler renoise, and for no other one.")
    if isinstance(fresh, str):
        _check_seed(fresh, where)
    schedule = op["schedule"]
    if schedule["name"] == "manual":
        sigmas = schedule["sigmas"]
        if any(after >= before for before, after in pairwise(sigmas)):
            raise ManifestError(f"{where} has sigmas that do not fall from step to step; correct them.")
    if "end" in schedule and schedule["end"] <= schedule.get("start", 0):
        raise ManifestError(f"{where} ends its schedule where it starts; give it at least one step.")


def _check_tiles(tiles: Tiles, where: str) -> None:
    for size, overlap in zip(tiles["size"], tiles["overlap"], strict=True):
        if overlap >= size:
            raise ManifestError(f"{where} has tiles that overlap by their whole size; overlap them less.")


def _check_seed(seed: str, where: str) -> None:
    if int(seed) > MAX_SEED:
        raise ManifestError(f"{where} has a seed above 2^64-1; choose a smaller one.")
