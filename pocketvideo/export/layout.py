"""The forms in which a denoiser's blocks can be exported: how tokens lie in memory, how heads are computed.

MobileI2V (arXiv 2511.21475) keeps tokens channels-first, so that linear layers are 1x1 convolutions, computes
heads one after another, and writes attention as einsums, each for a phone's neural engine. All forms compute
the same with the same weights; which is fastest depends on the device (`make bench-precision` measures one).
"""

from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from .errors import ExportError
from .stages import Component, Stage

LAYOUTS = ("tokens", "channels")
HEADS = ("batched", "tiled", "einsum")


@dataclass(frozen=True)
class Form:
    """`layout`: tokens `[B, F, H, W, C]` or channels `[B, C, F, H, W]`; `heads`: one of `HEADS`."""

    layout: str = "tokens"
    heads: str = "batched"

    def __str__(self) -> str:
        return f"{self.layout},{self.heads}"


USUAL = Form()


def parse_form(text: str) -> Form:
    """`channels`, `tiled`, or `channels,einsum`. Raises `ExportError` for other words."""
    made = USUAL
    for word in text.split(","):
        name = word.strip()
        if name in LAYOUTS:
            made = replace(made, layout=name)
        elif name in HEADS:
            made = replace(made, heads=name)
        else:
            raise ExportError(
                f"There is no form {name!r}; choose a layout of {', '.join(LAYOUTS)}, a way to compute heads "
                f"of {', '.join(HEADS)}, or one of each."
            )
    return made


def shaped(part: Component, form: Form) -> Component:
    """A denoiser's component in another form, under the same names of weights.

    Raises `ExportError` when the stages are built, for a network whose blocks are not our denoiser's.
    """
    if form == USUAL:
        return part
    from .layout_channels import channel_axes

    stages = tuple(replace(stage, build=partial(_build, stage, form)) for stage in part.stages)
    axes = channel_axes(part.axes) if form.layout == "channels" else part.axes
    return replace(part, stages=stages, axes=axes)


def _build(stage: Stage, form: Form) -> nn.Module:
    from .layout_attention import with_heads
    from .layout_channels import channels_first

    module = stage.build()
    made = channels_first(module, form.heads) if form.layout == "channels" else with_heads(module, form.heads)
    if made is None:
        raise ExportError(
            f"The stage {stage.weights} has no form {form}; only PocketVideo's own denoiser has other forms "
            "than tokens,batched."
        )
    return made
