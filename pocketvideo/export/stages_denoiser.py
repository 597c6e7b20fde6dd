"""The denoiser as stages: prologue, one stage per block, epilogue."""

from collections.abc import Callable

from torch import Tensor, nn

from ..models import Block, Denoiser
from .forms import deferred, without
from .stages import Axes, Component, Stage


class _Prologue(nn.Module):
    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, latent: Tensor, timestep: Tensor, motion: Tensor, *text: Tensor) -> tuple[Tensor, ...]:
        context, mask = text or (None, None)
        out = self.denoiser.prologue(latent, timestep, context, mask, motion)
        return tuple(value for value in out if value is not None)


class _Epilogue(nn.Module):
    """The final layer, whose modulation is added row by row to stay within five axes."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.final_layer = denoiser.final_layer

    def forward(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        table = self.final_layer.scale_shift_table
        normal = nn.functional.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)
        modulated = normal * (1 + table[1] + time_embed) + (table[0] + time_embed)
        out: Tensor = self.final_layer.linear(modulated)
        return out.permute(0, 4, 1, 2, 3)


class _Block(nn.Module):
    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block

    def forward(self, *activations: Tensor) -> Tensor:
        return self.block(*activations)


def denoiser_component(
    denoiser: Denoiser,
    real: Callable[[nn.Module], nn.Module] = lambda module: module,
    whole: Callable[[], nn.Module] | None = None,
) -> Component:
    """Stages of a denoiser with or without text; a model without text has no `context` among its inputs.

    A denoiser on the meta device comes with `real`, which copies a piece of it and gives the copy its
    numbers, and `whole`, which gives the network to compare with.
    """
    config = denoiser.config
    width = config.width
    text = config.cross_attention
    grid: tuple[str | int, ...] = ("frames", "height", "width")
    axes = {
        "latent": Axes(("batch", config.in_channels, *grid)),
        "timestep": Axes(("batch", "frames")),
        "motion": Axes(("batch",)),
        "tokens": Axes(("batch", *grid, width)),
        "modulation": Axes(("batch", "frames", 1, 1, 6 * width)),
        "time_embed": Axes(("batch", "frames", 1, 1, width)),
        "cos": Axes((*grid, config.head_dim)),
        "sin": Axes((*grid, config.head_dim)),
        "velocity": Axes(("batch", config.in_channels, *grid)),
    }
    inputs: tuple[str, ...] = ("latent", "timestep", "motion")
    shared: tuple[str, ...] = ("modulation", "cos", "sin")
    made: tuple[str, ...] = ("tokens", "modulation", "time_embed", "cos", "sin")
    if text:
        axes["context"] = Axes(("batch", "length", int(config.text_width or 0)))
        axes["context_mask"] = Axes(("batch", "length"))
        axes["block_context"] = Axes(("batch", "length", width))
        axes["context_bias"] = Axes(("batch", 1, 1, "length"))
        inputs += ("context", "context_mask")
        shared += ("block_context", "context_bias")
        made += ("block_context", "context_bias")
    stages = [
        Stage(
            "prologue",
            "prologue",
            deferred(_Prologue, without(denoiser, "blocks", "final_layer"), real),
            inputs,
            made,
        )
    ]
    for index, block in enumerate(denoiser.blocks):
        kind = config.block_kind(index)
        stages.append(
            Stage(kind, f"block_{index:02}", deferred(_Block, block, real), ("tokens", *shared), ("tokens",))
        )
    stages.append(
        Stage(
            "epilogue",
            "epilogue",
            deferred(_Epilogue, denoiser, real),
            ("tokens", "time_embed"),
            ("velocity",),
        )
    )

    def reference(**values: Tensor) -> Tensor:
        return (whole() if whole is not None else denoiser)(
            values["latent"],
            values["timestep"],
            values.get("context"),
            values.get("context_mask"),
            values["motion"],
        )

    return Component("denoiser", "denoiser", inputs, ("velocity",), tuple(stages), axes, reference)
