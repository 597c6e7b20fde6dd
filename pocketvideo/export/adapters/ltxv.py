"""LTX-Video's transformer (arXiv:2501.00103), diffusers' class: prologue, blocks of one kind, epilogue.

Every latent cell is a token. Positions are in seconds and pixels, so the frame rate is an input. Time is
given per frame, 0 to 1, which is how a given first frame is told from noise. LTX-2 and its audio are other
networks.
"""

import math
from typing import Any

import torch
from diffusers import LTXVideoTransformer3DModel
from torch import Tensor, nn

from ...models.layers import layer_norm, modulate
from ..forms import deferred
from ..stages import Axes, Component, Stage
from .attending import attend, bias_of, turn
from .source import HELD, Source

TIME_SCALE = 1000.0
# Frames, rows and columns of a latent cell in the video, and how much of a clip the positions span.
CELL = (8.0, 32.0, 32.0)
SPAN = (20.0, 2048.0, 2048.0)
INPUTS = ("latent", "timestep", "context", "context_mask", "fps")
SHARED = ("modulation", "block_context", "context_bias", "cos", "sin")
MADE = ("tokens", "modulation", "time_embed", "cos", "sin", "block_context", "context_bias")


def starts(count: Tensor, causal: bool) -> Tensor:
    """The frame at which each latent frame begins; with `causal`, the first latent frame holds one frame."""
    frames = count * CELL[0]
    return (frames + (1 - CELL[0])).clamp(min=0) if causal else frames


class _Positions(nn.Module):
    """Angles of the rotary positions, over the full width: frequency by frequency, time, row, column."""

    frequencies: Tensor

    def __init__(self, width: int, theta: float, causal: bool) -> None:
        super().__init__()
        powers = torch.linspace(0.0, 1.0, width // 6, dtype=torch.float32)
        self.register_buffer("frequencies", theta**powers * math.pi / 2)
        self.causal = causal
        # What six does not divide stays unturned, at the front.
        self.still = width % 6 // 2

    def forward(self, latent: Tensor, fps: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines `[F, H, W, C / 2]`; all of a batch have the frame rate of its first."""
        sizes = latent.shape[2:]
        frames, rows, columns = (torch.arange(size, dtype=torch.float32) for size in sizes)
        places = (
            starts(frames, self.causal) / fps[0] / SPAN[0],
            rows * CELL[1] / SPAN[1],
            columns * CELL[2] / SPAN[2],
        )
        angles = []
        for axis, place in enumerate(places):
            shape = [1, 1, 1, -1]
            shape[axis] = sizes[axis]
            angle = (place * 2 - 1)[:, None] * self.frequencies
            angles.append(angle.reshape(shape).expand(*sizes, -1))
        table = torch.stack(angles, dim=-1).flatten(-2)
        cos, sin = table.cos(), table.sin()
        if self.still:
            still = torch.ones_like(cos[..., : self.still])
            cos, sin = torch.cat((still, cos), dim=-1), torch.cat((still * 0, sin), dim=-1)
        return cos, sin


class _Prologue(nn.Module):
    def __init__(self, network: Any, causal: bool) -> None:
        super().__init__()
        self.proj_in = network.proj_in
        self.time_embed = network.time_embed
        self.caption_projection = network.caption_projection
        self.positions = _Positions(network.proj_in.out_features, network.rope.theta, causal)

    def forward(
        self, latent: Tensor, timestep: Tensor, context: Tensor, context_mask: Tensor, fps: Tensor
    ) -> tuple[Tensor, ...]:
        batch, _, frames, _, _ = latent.shape
        time = (timestep * TIME_SCALE).reshape(batch * frames)
        modulation, time_embed = self.time_embed(time, hidden_dtype=latent.dtype)
        cos, sin = self.positions(latent, fps)
        return (
            self.proj_in(latent.permute(0, 2, 3, 4, 1)),
            modulation.reshape(batch, frames, 1, 1, -1),
            time_embed.reshape(batch, frames, 1, 1, -1),
            cos,
            sin,
            self.caption_projection(context),
            bias_of(context_mask),
        )


class _Block(nn.Module):
    """diffusers' block on tokens `[B, F, H, W, C]`, with modulation per frame instead of per token."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(
        self, tokens: Tensor, modulation: Tensor, context: Tensor, bias: Tensor, cos: Tensor, sin: Tensor
    ) -> Tensor:
        block = self.block
        table = block.scale_shift_table.flatten()
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + table).chunk(6, dim=-1)
        own = modulate(block.norm1(tokens), shift1, scale1).flatten(1, 3)
        tokens = tokens + gate1 * self._self(own, cos, sin).view_as(tokens)
        tokens = tokens + self._text(tokens.flatten(1, 3), context, bias).view_as(tokens)
        out: Tensor = tokens + gate2 * block.ff(modulate(block.norm2(tokens), shift2, scale2))
        return out

    def _self(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        attn = self.block.attn1
        cos, sin = cos.flatten(0, 2), sin.flatten(0, 2)
        q = turn(attn.norm_q(attn.to_q(x)), cos, sin)
        k = turn(attn.norm_k(attn.to_k(x)), cos, sin)
        out: Tensor = attn.to_out[0](attend(q, k, attn.to_v(x), attn.heads))
        return out

    def _text(self, x: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        attn = self.block.attn2
        q, k = attn.norm_q(attn.to_q(x)), attn.norm_k(attn.to_k(context))
        out: Tensor = attn.to_out[0](attend(q, k, attn.to_v(context), attn.heads, bias))
        return out


class _Epilogue(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.scale_shift_table = network.scale_shift_table
        self.proj_out = network.proj_out

    def forward(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        table = self.scale_shift_table
        out: Tensor = self.proj_out(
            modulate(layer_norm(tokens), table[0] + time_embed, table[1] + time_embed)
        )
        return out.permute(0, 4, 1, 2, 3)


def ltxv_component(
    network: LTXVideoTransformer3DModel, source: Source = HELD, causal_positions: bool = False
) -> Component:
    """Stages of LTX-Video's transformer; its output is the velocity noise - x0.

    `causal_positions` is how the files from 0.9.5 on place frames (`causal_temporal_positioning` there).
    """
    config: Any = network.config
    width, channels = network.proj_in.out_features, config.in_channels
    grid: tuple[str | int, ...] = ("frames", "height", "width")
    axes = {
        "latent": Axes(("batch", channels, *grid)),
        "timestep": Axes(("batch", "frames")),
        "context": Axes(("batch", "length", config.caption_channels)),
        "context_mask": Axes(("batch", "length")),
        "fps": Axes(("batch",)),
        "tokens": Axes(("batch", *grid, width)),
        "modulation": Axes(("batch", "frames", 1, 1, 6 * width)),
        "time_embed": Axes(("batch", "frames", 1, 1, width)),
        "cos": Axes((*grid, width // 2)),
        "sin": Axes((*grid, width // 2)),
        "block_context": Axes(("batch", "length", width)),
        "context_bias": Axes(("batch", 1, 1, "length")),
        "velocity": Axes(("batch", channels, *grid)),
    }

    def prologue(held: Any) -> nn.Module:
        return _Prologue(held, causal_positions)

    stages = [Stage("prologue", "prologue", deferred(prologue, network, source.real), INPUTS, MADE)]
    for index, block in enumerate(network.transformer_blocks):
        build = deferred(_Block, block, source.real)
        stages.append(Stage("block", f"block_{index:02}", build, ("tokens", *SHARED), ("tokens",)))
    last = deferred(_Epilogue, network, source.real)
    stages.append(Stage("epilogue", "epilogue", last, ("tokens", "time_embed"), ("velocity",)))

    def reference(**values: Tensor) -> Tensor:
        latent = values["latent"]
        batch, _, frames, height, width = latent.shape
        grid = torch.meshgrid(
            starts(torch.arange(frames).float(), causal_positions) / values["fps"][0],
            torch.arange(height).float() * CELL[1],
            torch.arange(width).float() * CELL[2],
            indexing="ij",
        )
        time = (values["timestep"] * TIME_SCALE)[:, :, None].expand(batch, frames, height * width)
        (out,) = source.network(network)(
            latent.flatten(2).transpose(1, 2),
            encoder_hidden_states=values["context"],
            timestep=time.reshape(batch, -1),
            encoder_attention_mask=values["context_mask"],
            video_coords=torch.stack(grid).flatten(1).expand(batch, 3, -1),
            return_dict=False,
        )
        velocity: Tensor = out.transpose(1, 2).reshape(latent.shape)
        return velocity

    return Component("denoiser", "denoiser", INPUTS, ("velocity",), tuple(stages), axes, reference)
