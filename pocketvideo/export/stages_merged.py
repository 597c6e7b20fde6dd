"""The merging twin of a denoiser: the same stages and weights, blocks that merge tokens (TDTM).

A twin is a component of its own whose stages name the weight files of the denoiser. The device runs it in
the denoiser's place inside the merge's window of sigmas.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ...mobile_runtime.engine.merging import MergeConfig
from ..acceleration.merged_attention import MergeRule
from ..acceleration.merging import pair_frames
from ..acceleration.token_merge import TokenMerger
from ..models import Denoiser
from .forms import deferred
from .merged_tokens import PAIR_INPUTS, SIMILAR_INPUTS, PairMerge, SimilarMerge
from .stages import Axes, Component, Stage

TWINS = {"denoiser_pairs": "pairs", "denoiser_similar": "similar"}
# What the parity check merges; a graph takes any share.
CHECKED_SHARE = 0.4
_AXES = {
    "pairs": {
        "merge_first": Axes(("merged_frames",), torch.int64),
        "merge_second": Axes(("merged_frames",), torch.int64),
        "merge_source": Axes(("frames",), torch.int64),
        "merge_sizes": Axes(("merged_frames",)),
    },
    "similar": {
        "merge_alone": Axes(("alone",), torch.int64),
        "merge_first": Axes(("pairs",), torch.int64),
        "merge_second": Axes(("pairs",), torch.int64),
        "merge_back": Axes(("frames", "height", "width"), torch.int64),
        "merge_rest": Axes(("rest",), torch.int64),
    },
}


class _MergedBlock(nn.Module):
    """A block whose last inputs say what merges."""

    def __init__(self, block: nn.Module, mode: str) -> None:
        super().__init__()
        self.block = block
        self.mode = mode

    def forward(self, *activations: Tensor) -> Tensor:
        tokens, modulation, cos, sin, *rest = activations
        inputs, kind = (PAIR_INPUTS, PairMerge) if self.mode == "pairs" else (SIMILAR_INPUTS, SimilarMerge)
        text, merge = rest[: -len(inputs)], kind(*rest[-len(inputs) :])
        context, bias = text or (None, None)
        out: Tensor = self.block(tokens, modulation, cos, sin, context, bias, merge)
        return out


def merged_component(denoiser: Denoiser, part: Component, name: str) -> Component:
    """The twin of a denoiser's component `part`; `name` is a key of `TWINS`.

    It is compared with the network under the desk's own `TokenMerger`.
    """
    mode = TWINS[name]
    added = tuple(_AXES[mode])
    prologue, *blocks, epilogue = part.stages

    def twin(stage: Stage, block: nn.Module) -> Stage:
        build = deferred(lambda source: _MergedBlock(source, mode), block)
        return replace(stage, graph=f"{stage.graph}_{mode}", build=build, inputs=(*stage.inputs, *added))

    def settings(sizes: Mapping[str, int]) -> dict[str, Tensor]:
        grid = [sizes[axis] for axis in ("frames", "height", "width")]
        config = MergeConfig("pairs" if mode == "pairs" else "similar", end=0.0, share=CHECKED_SHARE)
        arrays = config.arrays(grid) or {}
        return {key: torch.from_numpy(value) for key, value in arrays.items()}

    def reference(**values: Tensor) -> Tensor:
        rule = MergeRule() if mode == "pairs" else MergeRule(True, share=CHECKED_SHARE)
        merger = TokenMerger(pair_frames(values["latent"].shape[2]), rule)
        return denoiser(
            values["latent"],
            values["timestep"],
            values.get("context"),
            values.get("context_mask"),
            values["motion"],
            merge=merger,
        )

    stages = [twin(stage, block) for stage, block in zip(blocks, denoiser.blocks, strict=True)]
    return replace(
        part,
        name=name,
        inputs=(*part.inputs, *added),
        stages=(prologue, *stages, epilogue),
        axes=part.axes | _AXES[mode],
        reference=reference,
        settings=settings,
    )
