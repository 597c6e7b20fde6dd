"""A denoiser's component in another form, stage by stage."""

from dataclasses import replace
from functools import partial

from torch import nn

from .errors import ExportError
from .layout import USUAL, Form
from .layout_attention import with_heads
from .layout_channels import channel_axes, channels_first
from .stages import Component, Stage


def shaped(part: Component, form: Form) -> Component:
    """A denoiser's component in another form, under the same names of weights.

    Raises `ExportError` when the stages are built, for a network whose blocks are not our denoiser's.
    """
    if form == USUAL:
        return part
    stages = tuple(replace(stage, build=partial(_build, stage, form)) for stage in part.stages)
    axes = channel_axes(part.axes) if form.layout == "channels" else part.axes
    return replace(part, stages=stages, axes=axes)


def _build(stage: Stage, form: Form) -> nn.Module:
    module = stage.build()
    made = channels_first(module, form.heads) if form.layout == "channels" else with_heads(module, form.heads)
    if made is None:
        raise ExportError(
            f"The stage {stage.weights} has no form {form}; only PocketVideo's own denoiser has other forms "
            "than tokens,batched."
        )
    return made
