"""The ways to make one video that are compared: a name, a MODEL, a SAMPLER, and what was set.

Every way is built by executing the nodes, so that what is measured is what a user gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import comfy.samplers
from comfy_extras.nodes_easycache import EasyCacheNode
from comfyui_pocketvideo.nodes.leap import PocketVideoLeap
from comfyui_pocketvideo.nodes.temporal_token_merge import PocketVideoTemporalTokenMerge

BASE = "base"
LEAP = "Leap, adaptive"
LEAP_FIXED = "Leap, fixed"
EASYCACHE = "EasyCache, default"
EASYCACHE_EQUAL = "EasyCache, evaluations of Leap"
PAIRS = "Merge pairs, first half"
SIMILAR = "Merge similar, first half"
PAIRS_WHOLE = "Merge pairs, whole run"
SIMILAR_WHOLE = "Merge similar, whole run"
BOTH = "Leap + Merge similar"

FIRST_HALF = {"start_percent": 0.0, "end_percent": 0.5}
WHOLE = {"start_percent": 0.0, "end_percent": 1.0}


@dataclass(frozen=True)
class Variant:
    """One way to make a video."""

    name: str
    model: Any
    sampler: Any
    settings: dict[str, Any] = field(default_factory=dict)


def base(model: Any) -> Variant:
    return Variant(BASE, model, comfy.samplers.sampler_object("euler"))


def leap_defaults() -> dict[str, Any]:
    """Leap's adaptive mode as a new node in the editor has it."""
    return _option(PocketVideoLeap, "adaptive")


def similar_defaults() -> dict[str, Any]:
    """Temporal Token Merge's similar mode as a new node in the editor has it."""
    return _option(PocketVideoTemporalTokenMerge, "similar")


def leap(variant: Variant, name: str, mode: dict[str, Any]) -> Variant:
    """A way with Leap around its sampler."""
    sampler = _execute(PocketVideoLeap, sampler=variant.sampler, mode=mode)
    return replace(variant, name=name, sampler=sampler, settings={**variant.settings, "leap": mode})


def merge(variant: Variant, name: str, mode: dict[str, Any], window: dict[str, float]) -> Variant:
    """A way with Temporal Token Merge on its model."""
    model = _execute(PocketVideoTemporalTokenMerge, model=variant.model, mode=mode, **window)
    return replace(
        variant, name=name, model=model, settings={**variant.settings, "merge": {**mode, **window}}
    )


def easycache(variant: Variant, name: str, reuse_threshold: float | None = None) -> Variant:
    """A way with core's EasyCache on its model, at its default threshold unless one is given."""
    options = {spec.id: spec.default for spec in EasyCacheNode.define_schema().inputs if spec.id != "model"}
    if reuse_threshold is not None:
        options["reuse_threshold"] = reuse_threshold
    model = _execute(EasyCacheNode, model=variant.model, **options)
    return replace(variant, name=name, model=model, settings={**variant.settings, "easycache": options})


def _execute(node: Any, **inputs: Any) -> Any:
    """A V3 node's first output, executed as ComfyUI does it: on a clone of its class, with hidden inputs."""
    return node.PREPARE_CLASS_CLONE({"hidden_inputs": {}}).execute(**inputs)[0]


def _option(node: Any, key: str) -> dict[str, Any]:
    """The defaults of one choice of a node's `mode`."""
    (mode,) = (spec for spec in node.define_schema().inputs if spec.id == "mode")
    (option,) = (option for option in mode.options if option.key == key)
    return {"mode": key, **{spec.id: spec.default for spec in option.inputs}}
