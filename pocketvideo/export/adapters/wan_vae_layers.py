"""Layers of Wan's autoencoders, diffusers' classes, with what came before as an input: within five axes.

A convolution looks back in time only, at the last two frames of what it saw before: its past. The first piece
of a video has none.
"""

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d
from torch import Tensor, nn
from torch.nn import functional as F

from ..rearrange import fold_frames, fold_height, fold_width, unfold_frames, unfold_height, unfold_width

PAST = 2


class Statistics(nn.Module):
    """Mean and deviation of the latents, `[1, C, 1, 1, 1]`."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__()
        mean, std = statistics(config)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)


def statistics(config: Any) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the latents, `[1, C, 1, 1, 1]`, of a network's config."""
    mean, std = (
        torch.tensor(values).view(1, -1, 1, 1, 1) for values in (config.latents_mean, config.latents_std)
    )
    return mean, std


class Past:
    """Hands every convolution its past in turn, and collects the past for the next piece."""

    def __init__(self, before: tuple[Tensor, ...] | None) -> None:
        self.before = before
        self.after: list[Tensor] = []

    def __call__(self, conv: WanCausalConv3d, x: Tensor) -> Tensor:
        if self.before is None:
            x = F.pad(x, (0, 0, 0, 0, PAST, 0))
        else:
            x = torch.cat((self.before[len(self.after)], x), dim=2)
        self.after.append(x[:, :, -PAST:])
        left, _, top, _, _, _ = conv._padding
        return F.conv3d(x, conv.weight, conv.bias, padding=(0, top, left))

    def skip(self, x: Tensor) -> None:
        """The past of a convolution that does not run on the first piece: nothing."""
        self.after.append(torch.zeros_like(x).repeat(1, 1, PAST, 1, 1))

    def halve(self, conv: WanCausalConv3d, x: Tensor) -> Tensor:
        """Every other frame of a convolution over the last frame before and these; the first as it is."""
        if self.before is None:
            self.after.append(x)
            return x
        joined = torch.cat((self.before[len(self.after)], x), dim=2)
        self.after.append(joined[:, :, -1:])
        return F.conv3d(joined, conv.weight, conv.bias, stride=conv.stride)


def norm(layer: Any, x: Tensor) -> Tensor:
    """diffusers' root mean square norm of the channels."""
    length = x.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)
    out: Tensor = x / length * layer.scale * layer.gamma
    return out


def resnet(block: Any, x: Tensor, past: Past) -> Tensor:
    out = past(block.conv1, F.silu(norm(block.norm1, x)))
    out = past(block.conv2, F.silu(norm(block.norm2, out)))
    return out + (block.conv_shortcut(x) if isinstance(block.conv_shortcut, WanCausalConv3d) else x)


def attention(block: Any, x: Tensor) -> Tensor:
    """One head over the cells of every frame."""
    batch, channels, frames, height, width = x.shape
    flat = norm(block.norm, x.transpose(1, 2).reshape(batch * frames, channels, height, width))
    q, k, v = block.to_qkv(flat).flatten(2).transpose(1, 2)[:, None].chunk(3, dim=-1)
    out = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(flat.shape)
    return x + block.proj(out).reshape(batch, frames, channels, height, width).transpose(1, 2)


def twice(x: Tensor) -> Tensor:
    """Every row and column of `[N, C, H, W]` twice."""
    count, channels, height, width = x.shape
    x = x.reshape(count * channels, height, 1, width).expand(-1, -1, 2, -1)
    x = x.reshape(count * channels, 2 * height, width, 1).expand(-1, -1, -1, 2)
    return x.reshape(count, channels, 2 * height, 2 * width)


def upsample(block: Any, x: Tensor, past: Past) -> Tensor:
    if block.mode == "upsample3d":
        if past.before is None:
            past.skip(x)
        else:
            pair = past(block.time_conv, x)
            batch, channels, frames, height, width = x.shape
            # The channels hold two frames one after the other.
            pair = pair.reshape(batch, 2, channels, frames, height * width).permute(0, 2, 3, 1, 4)
            x = pair.reshape(batch, channels, 2 * frames, height, width)
    batch, channels, frames, height, width = x.shape
    flat = block.resample[1](twice(x.transpose(1, 2).flatten(0, 1)))
    return flat.unflatten(0, (batch, frames)).transpose(1, 2)


def downsample(block: Any, x: Tensor, past: Past) -> Tensor:
    """Half the height and width, and in a block of the kind `downsample3d` half the frames."""
    batch, _, frames, _, _ = x.shape
    flat = F.pad(x.transpose(1, 2).flatten(0, 1), (0, 1, 0, 1))
    x = block.resample[1](flat).unflatten(0, (batch, frames)).transpose(1, 2)
    return past.halve(block.time_conv, x) if block.mode == "downsample3d" else x


def enlarged(shortcut: Any, x: Tensor, first: bool) -> Tensor:
    """Wan 2.2's way around an upsampling block: every channel some times, moved into pixels and frames."""
    channels, time, space = x.shape[1], shortcut.factor_t, shortcut.factor_s
    x = x.index_select(1, torch.arange(channels * shortcut.repeats) // shortcut.repeats)
    x = unfold_frames(unfold_height(unfold_width(x, space), space), time)
    return x[:, :, time - 1 :] if first else x


def reduced(shortcut: Any, x: Tensor) -> Tensor:
    """Wan 2.2's way around a downsampling block: pixels and frames moved into channels, and their means."""
    time, space = shortcut.factor_t, shortcut.factor_s
    if x.shape[2] % time:
        x = torch.cat((torch.zeros_like(x[:, :, : time - x.shape[2] % time]), x), dim=2)
    x = fold_width(fold_height(fold_frames(x, time), space), space)
    batch, channels, frames, height, width = x.shape
    groups = x.reshape(batch, channels // shortcut.group_size, shortcut.group_size, frames, height * width)
    return groups.mean(2).reshape(batch, -1, frames, height, width)


def finer(scale: int, axis: str) -> str:
    """The name of an axis so many times as fine as this one."""
    return axis if scale == 1 else f"{scale}*{axis}"
