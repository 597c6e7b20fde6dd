"""The lowering of Temporal Token Merge: a window of sigmas in which the device runs the denoiser's twin."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .lowering import Reader, lowering
from .plan import Lookups, PlanBuilder
from .values import Merge, Model

MODES = ("pairs", "similar")


@lowering("PocketVideoTemporalTokenMerge")
def lower_merge(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model]:
    """Temporal Token Merge."""
    model = node.link("model", Model)
    if model.merge is not None:
        node.fail("model", "merges already; remove one of the two Temporal Token Merge nodes")
    if not model.geometry.merges:
        node.fail(
            "model",
            f"is {model.name}, which a device cannot merge; bypass this node, or use a model of Load Pocket "
            "Video Model",
        )
    mode, share = node.choice("mode", MODES), 1.0
    if mode == "similar":
        threshold = node.number("mode.threshold", -1.0, 1.0)
        if threshold > -1:
            node.fail(
                "mode.threshold",
                f"is {threshold:g}, and a device merges equally many tokens at every step, which a threshold "
                "does not; set it to -1 and choose how many by share",
            )
        share = node.number("mode.share", 0.0, 1.0)
    start, end = node.number("start_percent", 0.0, 1.0), node.number("end_percent", 0.0, 1.0)
    if start >= end:
        node.fail("start_percent", "is not less than end_percent, so that nothing merges; set it to less")
    # Optional, and absent from workflows that were saved before it was there.
    keep = "keep_first_frame" in node.node.inputs and node.switch("keep_first_frame")
    return (replace(model, merge=Merge(mode, share, start, end, keep)),)


def merge_field(model: Model, shape: Sequence[int], first_frame_given: bool) -> dict[str, Any]:
    """The `merge` of a denoise op over latents of this shape, or nothing where no pair can merge.

    Percentages of the schedule become sigmas as `percent_to_sigma` of ComfyUI's ModelSamplingDiscreteFlow has
    them, by the shift of the model as it is sampled.
    """
    merge, shift = model.merge, model.geometry.shift
    if merge is None:
        return {}
    _, _, frames, height, width = shape
    pairs = (frames - int(merge.keep_first_frame or first_frame_given)) // 2
    if math.floor(merge.share * pairs * height * width + 1e-6) < 1:
        return {}
    field = {
        "mode": merge.mode,
        "component": merge.component,
        "end": _sigma(merge.end, shift),
        "keep_first_frame": merge.keep_first_frame,
    }
    if merge.start > 0:
        field["begin"] = _sigma(merge.start, shift)
    if merge.mode == "similar":
        field["share"] = merge.share
    return {"merge": field}


def _sigma(percent: float, shift: float) -> float:
    time = 1.0 - percent
    return shift * time / (1 + (shift - 1) * time)
