"""Wan 2.1's transformer (arXiv:2503.20314), diffusers' class: prologue, blocks of one kind, epilogue.

A token is a patch of 2 x 2 latent cells of one frame; where two do not divide a side, the latent goes on
with its first row or column, as in ComfyUI. The text is read with its padding, whose features are zeros.
Forms that read more channels than they make (image to video) take them as `given`: a mask of four channels,
then latents.
"""

from typing import Any

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from ...models.layers import modulate
from ..errors import ExportError
from ..forms import deferred
from ..rearrange import unfold_height, unfold_width
from ..stages import Axes, Component, Stage
from .attending import attend, turn
from .source import HELD, Source

PATCH = 2
THETA = 10000.0
SHARED = ("modulation", "block_context", "cos", "sin")
MADE = ("tokens", "modulation", "time_embed", "cos", "sin", "block_context")


class _Positions(nn.Module):
    """Angles of the rotary positions of a head: those of time, then of rows, then of columns."""

    time: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, head: int) -> None:
        super().__init__()
        side = 2 * (head // 6)
        for name, size in (("time", head - 2 * side), ("rows", side), ("columns", side)):
            powers = torch.arange(0, size, 2, dtype=torch.float64) / size
            self.register_buffer(name, (1.0 / THETA**powers).float())

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines `[F, h, w, D / 2]`."""
        sizes = tokens.shape[1:4]
        angles = []
        for axis, frequencies in enumerate((self.time, self.rows, self.columns)):
            shape = [1, 1, 1, -1]
            shape[axis] = sizes[axis]
            angle = torch.arange(sizes[axis], dtype=torch.float32)[:, None] * frequencies
            angles.append(angle.reshape(shape).expand(*sizes, -1))
        table = torch.cat(angles, dim=-1)
        return table.cos(), table.sin()


class _Prologue(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        embedder = network.condition_embedder
        self.patch_embedding = network.patch_embedding
        self.timesteps_proj = embedder.timesteps_proj
        self.time_embedder = embedder.time_embedder
        self.time_proj = embedder.time_proj
        self.text_embedder = embedder.text_embedder
        self.positions = _Positions(network.config.attention_head_dim)

    def forward(
        self, latent: Tensor, timestep: Tensor, context: Tensor, *given: Tensor
    ) -> tuple[Tensor, ...]:
        batch, _, frames, _, _ = latent.shape
        x = torch.cat((latent, *given), dim=1)
        # One row and column more whether they are needed or not: the convolution leaves out half a patch.
        x = torch.cat((x, x[:, :, :, :1]), dim=3)
        x = torch.cat((x, x[:, :, :, :, :1]), dim=4)
        tokens = self.patch_embedding(x).permute(0, 2, 3, 4, 1)
        time_embed = self.time_embedder(self.timesteps_proj(timestep.reshape(batch * frames)))
        modulation = self.time_proj(nn.functional.silu(time_embed))
        return (
            tokens,
            modulation.reshape(batch, frames, 1, 1, -1),
            time_embed.reshape(batch, frames, 1, 1, -1),
            *self.positions(tokens),
            self.text_embedder(context),
        )


class _Block(nn.Module):
    """diffusers' block on tokens `[B, F, h, w, C]`, with modulation per frame instead of per token."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(
        self, tokens: Tensor, modulation: Tensor, context: Tensor, cos: Tensor, sin: Tensor
    ) -> Tensor:
        block = self.block
        table = block.scale_shift_table.flatten()
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + table).chunk(6, dim=-1)
        own = modulate(block.norm1(tokens), shift1, scale1).flatten(1, 3)
        tokens = tokens + gate1 * self._self(own, cos, sin).view_as(tokens)
        tokens = tokens + self._text(block.norm2(tokens).flatten(1, 3), context).view_as(tokens)
        out: Tensor = tokens + gate2 * block.ffn(modulate(block.norm3(tokens), shift2, scale2))
        return out

    def _self(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        attn = self.block.attn1
        cos, sin = (table.flatten(0, 2)[:, None] for table in (cos, sin))
        heads = (attn.heads, -1)
        q = turn(attn.norm_q(attn.to_q(x)).unflatten(-1, heads), cos, sin).flatten(2)
        k = turn(attn.norm_k(attn.to_k(x)).unflatten(-1, heads), cos, sin).flatten(2)
        out: Tensor = attn.to_out[0](attend(q, k, attn.to_v(x), attn.heads))
        return out

    def _text(self, x: Tensor, context: Tensor) -> Tensor:
        attn = self.block.attn2
        q, k = attn.norm_q(attn.to_q(x)), attn.norm_k(attn.to_k(context))
        out: Tensor = attn.to_out[0](attend(q, k, attn.to_v(context), attn.heads))
        return out


class _Epilogue(nn.Module):
    """Patches to cells within five axes, cut to the latent's size."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.scale_shift_table = network.scale_shift_table
        self.norm_out = network.norm_out
        self.proj_out = network.proj_out

    def forward(self, tokens: Tensor, time_embed: Tensor, latent: Tensor) -> Tensor:
        batch, frames, height, width, _ = tokens.shape
        table = self.scale_shift_table[0]
        values = self.proj_out(modulate(self.norm_out(tokens), table[0] + time_embed, table[1] + time_embed))
        # The channel is the last of a patch's axes there and the first of the cell's axes here.
        cells = values.reshape(batch, frames * height * width, PATCH * PATCH, -1).transpose(2, 3)
        cells = cells.reshape(batch, frames, height, width, -1).permute(0, 4, 1, 2, 3)
        out = unfold_height(unfold_width(cells, PATCH), PATCH)
        # An index rather than a slice: the exporter does not know that patches cover the latent.
        out = out.index_select(3, torch.arange(latent.shape[3]))
        return out.index_select(4, torch.arange(latent.shape[4]))


def wan_component(network: WanTransformer3DModel, source: Source = HELD) -> Component:
    """Stages of Wan's transformer; its output is the velocity noise - x0, its time runs from 0 to 1000.

    Raises `ExportError` for the forms with features of a picture or other patches.
    """
    config: Any = network.config
    if tuple(config.patch_size) != (1, PATCH, PATCH):
        raise ExportError(f"This Wan has patches of {tuple(config.patch_size)}; only (1, 2, 2) is exported.")
    if config.image_dim is not None or config.added_kv_proj_dim is not None:
        raise ExportError(
            "This Wan reads features of a picture (image to video of Wan 2.1), which is not exported; "
            "use a text-to-video model or Wan 2.2."
        )
    width, channels = config.num_attention_heads * config.attention_head_dim, config.out_channels
    more = config.in_channels - channels
    cells: tuple[str | int, ...] = ("frames", "height", "width")
    patches: tuple[str | int, ...] = ("frames", f"height/{PATCH}", f"width/{PATCH}")
    half = config.attention_head_dim // 2
    axes = {
        "latent": Axes(("batch", channels, *cells)),
        "timestep": Axes(("batch", "frames")),
        "context": Axes(("batch", "length", config.text_dim)),
        "tokens": Axes(("batch", *patches, width)),
        "modulation": Axes(("batch", "frames", 1, 1, 6 * width)),
        "time_embed": Axes(("batch", "frames", 1, 1, width)),
        "cos": Axes((*patches, half)),
        "sin": Axes((*patches, half)),
        "block_context": Axes(("batch", "length", width)),
        "velocity": Axes(("batch", channels, *cells)),
    }
    if more:
        axes["given"] = Axes(("batch", more, *cells))
    inputs = ("latent", "timestep", "context", *(("given",) if more else ()))
    stages = [Stage("prologue", "prologue", deferred(_Prologue, network, source.real), inputs, MADE)]
    for index, block in enumerate(network.blocks):
        build = deferred(_Block, block, source.real)
        stages.append(Stage("block", f"block_{index:02}", build, ("tokens", *SHARED), ("tokens",)))
    last = deferred(_Epilogue, network, source.real)
    stages.append(Stage("epilogue", "epilogue", last, ("tokens", "time_embed", "latent"), ("velocity",)))

    def reference(**values: Tensor) -> Tensor:
        latent = values["latent"]
        batch, _, frames, height, width = latent.shape
        x = torch.cat([latent, *([values["given"]] if more else [])], dim=1)
        x = nn.functional.pad(x, (0, width % PATCH, 0, height % PATCH, 0, 0), mode="circular")
        tokens = x.shape[3] // PATCH * (x.shape[4] // PATCH)
        time = values["timestep"][:, :, None].expand(batch, frames, tokens).reshape(batch, -1)
        (out,) = source.network(network)(x, time, values["context"], return_dict=False)
        velocity: Tensor = out[..., :height, :width]
        return velocity

    return Component(
        "denoiser", "denoiser", inputs, ("velocity",), tuple(stages), axes, reference, last_time=1000.0
    )
