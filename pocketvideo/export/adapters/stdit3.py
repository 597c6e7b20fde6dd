"""STDiT3: prologue, 28 spatial and 28 temporal blocks that take turns, epilogue.

Halves of a spatial-temporal pair are stages of their own: a device streams 85 MB at a time instead of 170,
and holds as many as fit its budget.
"""

import torch
from torch import Tensor, nn

from ...models.stdit3 import STDiT3, STDiT3Block
from ..forms import deferred, without
from ..rearrange import unfold_height, unfold_width
from ..stages import Axes, Component, Stage
from .source import HELD, Source

TEXT = ("modulation", "block_context", "context_bias")
MADE = ("tokens", "modulation", "time_embed", "cos", "sin", "block_context", "context_bias")


class _Prologue(nn.Module):
    def __init__(self, network: STDiT3) -> None:
        super().__init__()
        self.network = without(network, "spatial_blocks", "temporal_blocks", "final_layer")

    def forward(
        self, latent: Tensor, timestep: Tensor, context: Tensor, context_mask: Tensor, fps: Tensor
    ) -> tuple[Tensor, ...]:
        return tuple(self.network.prologue(latent, timestep, context, context_mask, fps))


class _Block(nn.Module):
    def __init__(self, block: STDiT3Block) -> None:
        super().__init__()
        self.block = block

    def forward(
        self, tokens: Tensor, modulation: Tensor, context: Tensor, bias: Tensor, *turns: Tensor
    ) -> Tensor:
        out: Tensor = self.block(tokens, modulation, context, bias, *turns)
        return out


class _Epilogue(nn.Module):
    """Patches to cells within five axes, without the variance, as noise - x0 like every other denoiser."""

    def __init__(self, network: STDiT3) -> None:
        super().__init__()
        self.final_layer = network.final_layer
        self.config = network.config

    def forward(self, tokens: Tensor, time_embed: Tensor, latent: Tensor) -> Tensor:
        batch, frames, height, width, _ = tokens.shape
        patch, channels = self.config.patch, self.config.out_channels
        values = self.final_layer(tokens, time_embed)
        # The channel is the last of a patch's axes there and the first of the cell's axes here.
        cells = values.reshape(batch, frames * height * width, patch * patch, channels).transpose(2, 3)
        cells = cells[:, :, : self.config.in_channels].flatten(2)
        cells = cells.reshape(batch, frames, height, width, -1).permute(0, 4, 1, 2, 3)
        out = unfold_height(unfold_width(cells, patch), patch)
        # An index rather than a slice: the exporter does not know that patches cover the latent.
        rows = torch.arange(latent.shape[3], device=latent.device)
        columns = torch.arange(latent.shape[4], device=latent.device)
        return -out.index_select(3, rows).index_select(4, columns)


def stdit3_component(network: STDiT3, source: Source = HELD) -> Component:
    """Stages of STDiT3. Its velocity is Open-Sora's with the sign turned and the variance left out."""
    config = network.config
    width = config.width
    cells: tuple[str | int, ...] = ("frames", "height", "width")
    patches: tuple[str | int, ...] = ("frames", f"height/{config.patch}", f"width/{config.patch}")
    axes = {
        "latent": Axes(("batch", config.in_channels, *cells)),
        "timestep": Axes(("batch", "frames")),
        "context": Axes(("batch", "length", config.caption_channels)),
        "context_mask": Axes(("batch", "length")),
        "fps": Axes(("batch",)),
        "tokens": Axes(("batch", *patches, width)),
        "modulation": Axes(("batch", "frames", 1, 1, 6 * width)),
        "time_embed": Axes(("batch", "frames", 1, 1, width)),
        "cos": Axes(("frames", config.head_dim)),
        "sin": Axes(("frames", config.head_dim)),
        "block_context": Axes(("batch", "length", width)),
        "context_bias": Axes(("batch", 1, 1, "length")),
        "velocity": Axes(("batch", config.in_channels, *cells)),
    }
    inputs = ("latent", "timestep", "context", "context_mask", "fps")
    stages = [Stage("prologue", "prologue", deferred(_Prologue, network, source.real), inputs, MADE)]
    for index, (spatial, temporal) in enumerate(
        zip(network.spatial_blocks, network.temporal_blocks, strict=True)
    ):
        for kind, block, turns in (("spatial", spatial, ()), ("temporal", temporal, ("cos", "sin"))):
            build = deferred(_Block, block, source.real)
            stages.append(Stage(kind, f"{kind}_{index:02}", build, ("tokens", *TEXT, *turns), ("tokens",)))
    last = deferred(_Epilogue, network, source.real)
    stages.append(Stage("epilogue", "epilogue", last, ("tokens", "time_embed", "latent"), ("velocity",)))

    def reference(**values: Tensor) -> Tensor:
        out: Tensor = source.network(network)(*(values[name] for name in inputs))
        return -out[:, : config.in_channels]

    return Component(
        "denoiser", "denoiser", inputs, ("velocity",), tuple(stages), axes, reference, last_time=1000.0
    )
