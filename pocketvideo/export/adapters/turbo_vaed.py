"""Turbo-VAED (arXiv:2508.09136): a decoder for phones that is distilled from a video VAE's own.

Depthwise separable convolutions where there are most channels, and a pixel shuffle that is taken apart: first
frames, then rows and columns. The layer table is that of its published code and configs (hustvl/Turbo-VAED);
names of weights are those of its files, and every size is read from their shapes, so that a file needs no
config. Its files hold no statistics of the latents: they come from the VAE that the decoder was made for.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ExportError
from ..forms import deferred
from ..rearrange import unfold_frames, unfold_height, unfold_width
from ..stages import Axes, Component, Stage
from .source import HELD, Source

EPS = 1e-8
PREFIXES = ("decoder.", "")
MARKER = "up_blocks.0.resnets.0.conv1."
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Up:
    """One block: channels in and out, residual layers, what it makes of a cell (frames, pixels), its kernel.

    `kernel` is that of its depthwise convolutions, None where they are full ones.
    """

    narrow: int
    wide: int
    layers: int
    frames: int
    pixels: int
    kernel: int | None


@dataclass(frozen=True)
class Sizes:
    """A decoder's sizes: latent channels, the middle, the blocks, how many 2-D upsamplers end it."""

    latent: int
    middle: Up
    blocks: tuple[Up, ...]
    flat: int

    @property
    def temporal(self) -> int:
        """How many frames a later latent frame makes."""
        made = 1
        for block in self.blocks:
            made *= block.frames
        return made

    @property
    def spatial(self) -> int:
        """How many pixels of a side a cell makes."""
        made = int(2**self.flat)
        for block in self.blocks:
            made *= block.pixels
        return made


def read_sizes(shapes: Shapes) -> Sizes:
    """The sizes of a decoder from the shapes of its weights. Raises KeyError for a file that is another's."""
    middle = _block(shapes, "mid_block")
    blocks: list[Up] = []
    while f"up_blocks.{len(blocks)}.resnets.0.conv1.conv.weight" in shapes or (
        f"up_blocks.{len(blocks)}.resnets.0.conv1.depthwise_conv.weight" in shapes
    ):
        blocks.append(_block(shapes, f"up_blocks.{len(blocks)}"))
    flat = sum(f"upsampler2d_{index}.conv.weight" in shapes for index in (1, 2))
    return Sizes(shapes["conv_in.conv.weight"][1], middle, tuple(blocks), flat)


def _block(shapes: Shapes, name: str) -> Up:
    first = f"{name}.resnets.0.conv1"
    deep = shapes.get(f"{first}.depthwise_conv.weight")
    wide = shapes[f"{first}.conv.bias" if deep is None else f"{first}.pointwise_conv.bias"][0]
    entry = f"{name}.conv_in.norm3.bias"
    narrow = shapes[entry][0] if entry in shapes else wide
    layers = len({key.split(".")[2 if name == "mid_block" else 3] for key in shapes if _inside(key, name)})
    upsampler = shapes.get(f"{name}.upsamplers.0.conv.conv.weight")
    made = 1 if upsampler is None else upsampler[0] // upsampler[1]
    kernel = None if deep is None else deep[2]
    return Up(narrow, wide, layers, 2 if made == 8 else 1, 2 if made > 1 else 1, kernel)


def _inside(key: str, name: str) -> bool:
    return key.startswith(f"{name}.resnets.")


def _norm(x: Tensor) -> Tensor:
    """Root mean square over the channels, without weights."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPS)


def _longer(x: Tensor, kernel: int) -> Tensor:
    """First and last frame again, so that a convolution over frames keeps their number."""
    more = kernel // 2
    return torch.cat((*[x[:, :, :1]] * more, x, *[x[:, :, -1:]] * more), dim=2) if more else x


class _Conv(nn.Module):
    """A full convolution."""

    def __init__(self, narrow: int, wide: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv3d(narrow, wide, kernel, padding=(0, kernel // 2, kernel // 2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(_longer(x, self.conv.kernel_size[0]))
        return out


class _Separable(nn.Module):
    """A convolution of every channel by itself, then a mix of channels."""

    def __init__(self, narrow: int, wide: int, kernel: int) -> None:
        super().__init__()
        padding = (0, kernel // 2, kernel // 2)
        self.depthwise_conv = nn.Conv3d(narrow, narrow, kernel, padding=padding, groups=narrow)
        self.pointwise_conv = nn.Conv3d(narrow, wide, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise_conv(self.depthwise_conv(_longer(x, self.depthwise_conv.kernel_size[0])))
        return out


def _conv(narrow: int, wide: int, kernel: int | None, *, point: bool = False) -> nn.Module:
    """Of the kind of its block; `point` looks at one cell alone."""
    if kernel is None:
        return _Conv(narrow, wide, 1 if point else 3)
    return _Separable(narrow, wide, 1 if point else kernel)


class _Resnet(nn.Module):
    """Two convolutions and the way around them; after an upsampler the first activation is a ReLU."""

    def __init__(self, narrow: int, wide: int, kernel: int | None, *, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        self.conv1, self.conv2 = _conv(narrow, wide, kernel), _conv(wide, wide, kernel)
        self.norm3 = nn.LayerNorm(narrow, eps=1e-6) if narrow != wide else None
        self.conv_shortcut = _conv(narrow, wide, kernel, point=True) if narrow != wide else None

    def forward(self, x: Tensor) -> Tensor:
        out = _norm(x)
        out = self.conv1(F.relu(out) if self.relu else F.silu(out))
        out = self.conv2(F.silu(_norm(out)))
        if self.norm3 is not None and self.conv_shortcut is not None:
            x = self.conv_shortcut(self.norm3(x.movedim(1, -1)).movedim(-1, 1))
        return x + out


class _Upsampler(nn.Module):
    """A convolution whose channels become frames, then rows and columns; what precedes the video is cut."""

    def __init__(self, width: int, frames: int, pixels: int) -> None:
        super().__init__()
        self.frames, self.pixels = frames, pixels
        self.conv = _Conv(width, width * frames * pixels**2)

    def forward(self, x: Tensor) -> Tensor:
        x = unfold_frames(self.conv(x), self.frames)
        return unfold_height(unfold_width(x, self.pixels), self.pixels)[:, :, self.frames - 1 :]


class _FlatUpsampler(nn.Module):
    """The same of single frames: a quarter of the channels, twice the rows and columns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, frames, _, _ = x.shape
        x = self.conv(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, frames)).transpose(1, 2)
        return unfold_height(unfold_width(x, 2), 2)


class _Block(nn.Module):
    def __init__(self, sizes: Up) -> None:
        super().__init__()
        narrow, wide, kernel = sizes.narrow, sizes.wide, sizes.kernel
        self.conv_in = _Resnet(narrow, wide, kernel) if narrow != wide else None
        grows = sizes.pixels > 1
        self.upsamplers = nn.ModuleList([_Upsampler(wide, sizes.frames, sizes.pixels)] if grows else [])
        self.resnets = nn.ModuleList(_Resnet(wide, wide, kernel, relu=grows) for _ in range(sizes.layers))

    def forward(self, x: Tensor) -> Tensor:
        for part in (*((self.conv_in,) if self.conv_in is not None else ()), *self.upsamplers, *self.resnets):
            x = part(x)
        return x


class TurboDecoder(nn.Module):
    """Normalised latent `[1, C, F, h, w]` to frames `[1, 3, T, H, W]`; `mean` and `std` are the latents'."""

    mean: Tensor
    std: Tensor

    def __init__(self, sizes: Sizes, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.sizes = sizes
        self.register_buffer("mean", mean.view(1, -1, 1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1, 1))
        self.conv_in = _Conv(sizes.latent, sizes.middle.wide)
        self.mid_block = _Block(sizes.middle)
        self.up_blocks = nn.ModuleList(_Block(block) for block in sizes.blocks)
        width = sizes.blocks[-1].wide
        for index in range(1, sizes.flat + 1):
            setattr(self, f"upsampler2d_{index}", _FlatUpsampler(width))
            width //= 4
        self.conv_out = _Conv(width, 3)

    def forward(self, latent: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(latent * self.std + self.mean))
        for block in self.up_blocks:
            x = block(x)
        for index in range(1, self.sizes.flat + 1):
            x = getattr(self, f"upsampler2d_{index}")(F.silu(_norm(x)))
        out: Tensor = self.conv_out(F.silu(_norm(x)))
        return out


def turbo_decoder_component(network: TurboDecoder, source: Source = HELD) -> Component:
    """The decoder as one stage."""
    axes = {
        "latent": Axes((1, network.sizes.latent, "frames", "height", "width")),
        "frames": Axes((1, 3, "out_frames", "out_height", "out_width")),
    }

    def whole(held: Any) -> nn.Module:
        return held

    stage = Stage("decoder", "decoder", deferred(whole, network, source.real), ("latent",), ("frames",))

    def reference(**values: Tensor) -> Tensor:
        out: Tensor = source.network(network)(values["latent"])
        return out

    return Component("vae_decoder", "vae_decoder", ("latent",), ("frames",), (stage,), axes, reference)


def check_fits(sizes: Sizes, name: str, channels: int, spatial: int, temporal: int) -> None:
    """Raise `ExportError` for a decoder of another VAE's latents."""
    if (sizes.latent, sizes.spatial, sizes.temporal) != (channels, spatial, temporal):
        raise ExportError(
            f"'{name}' makes {sizes.temporal} frames of {sizes.spatial} x {sizes.spatial} pixels of a cell "
            f"with {sizes.latent} channels, and the model's cells are {temporal} frames of {spatial} x "
            f"{spatial} with {channels}; use the Turbo-VAED that was made for this model."
        )
