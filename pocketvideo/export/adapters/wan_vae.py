"""Wan 2.1's autoencoder, diffusers' class: a decoder that makes a video piece by piece.

Its convolutions look back in time only, so a latent frame is decoded with the last two frames of what every
convolution saw before: activations that travel from piece to piece (`past_00`, ...). The first latent frame
makes one frame of the video and every other four, which are two graphs with the same weights: a component
`first` and a component `next`. What a device holds at a time does not grow with the video's length.
"""

from typing import Any

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d
from torch import Tensor, nn
from torch.nn import functional as F

from ..forms import deferred
from ..stages import Axes, Component, Stage
from .source import HELD, Source

PAST = 2


class _Past:
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


def _norm(norm: Any, x: Tensor) -> Tensor:
    """diffusers' root mean square norm of the channels."""
    length = x.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)
    out: Tensor = x / length * norm.scale * norm.gamma
    return out


def _resnet(block: Any, x: Tensor, past: _Past) -> Tensor:
    out = past(block.conv1, F.silu(_norm(block.norm1, x)))
    out = past(block.conv2, F.silu(_norm(block.norm2, out)))
    return out + (block.conv_shortcut(x) if isinstance(block.conv_shortcut, WanCausalConv3d) else x)


def _attention(block: Any, x: Tensor) -> Tensor:
    """One head over the cells of every frame."""
    batch, channels, frames, height, width = x.shape
    flat = _norm(block.norm, x.transpose(1, 2).reshape(batch * frames, channels, height, width))
    q, k, v = block.to_qkv(flat).flatten(2).transpose(1, 2)[:, None].chunk(3, dim=-1)
    out = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(flat.shape)
    return x + block.proj(out).reshape(batch, frames, channels, height, width).transpose(1, 2)


def _twice(x: Tensor) -> Tensor:
    """Every row and column of `[N, C, H, W]` twice."""
    count, channels, height, width = x.shape
    x = x.reshape(count * channels, height, 1, width).expand(-1, -1, 2, -1)
    x = x.reshape(count * channels, 2 * height, width, 1).expand(-1, -1, -1, 2)
    return x.reshape(count, channels, 2 * height, 2 * width)


def _upsample(block: Any, x: Tensor, past: _Past) -> Tensor:
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
    flat = block.resample[1](_twice(x.transpose(1, 2).flatten(0, 1)))
    return flat.unflatten(0, (batch, frames)).transpose(1, 2)


class _Decoder(nn.Module):
    """Normalised latent of one frame to frames, with the past of every convolution in and out."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any, first: bool) -> None:
        super().__init__()
        self.post_quant_conv, self.decoder, self.first = network.post_quant_conv, network.decoder, first
        self.register_buffer("mean", torch.tensor(network.config.latents_mean).view(1, -1, 1, 1, 1))
        self.register_buffer("std", torch.tensor(network.config.latents_std).view(1, -1, 1, 1, 1))

    def forward(self, latent: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        past, decoder = _Past(None if self.first else before), self.decoder
        x = past(decoder.conv_in, self.post_quant_conv(latent * self.std + self.mean))
        middle = decoder.mid_block
        x = _resnet(middle.resnets[0], x, past)
        for attention, resnet in zip(middle.attentions, middle.resnets[1:], strict=True):
            x = _resnet(resnet, _attention(attention, x), past)
        for block in decoder.up_blocks:
            for resnet in block.resnets:
                x = _resnet(resnet, x, past)
            for upsampler in block.upsamplers or ():
                x = _upsample(upsampler, x, past)
        x = past(decoder.conv_out, F.silu(_norm(decoder.norm_out, x)))
        return x, *past.after


def _pasts(network: Any) -> list[tuple[int, int]]:
    """Channels of what every convolution remembers, and how much finer than the latent it is."""
    decoder, scale = network.decoder, 1
    found = [(decoder.conv_in.in_channels, scale)]
    for resnet in decoder.mid_block.resnets:
        found += [(resnet.in_dim, scale), (resnet.out_dim, scale)]
    for block in decoder.up_blocks:
        for resnet in block.resnets:
            found += [(resnet.in_dim, scale), (resnet.out_dim, scale)]
        for upsampler in block.upsamplers or ():
            if upsampler.mode == "upsample3d":
                found.append((upsampler.dim, scale))
            scale *= 2
    return [*found, (decoder.conv_out.in_channels, scale)]


def wan_decoder_components(network: AutoencoderKLWan, source: Source = HELD) -> tuple[Component, Component]:
    """The decoder of the first latent frame and that of every later one, which share their weights."""
    config: Any = network.config
    pasts = _pasts(network)
    names = tuple(f"past_{index:02}" for index in range(len(pasts)))

    def part(first: bool) -> Component:
        axes = {
            "latent": Axes((1, config.z_dim, 1, "height", "width")),
            "frames": Axes((1, config.out_channels, "out_frames", "out_height", "out_width")),
        }
        for name, (channels, scale) in zip(names, pasts, strict=True):
            axes[name] = Axes((1, channels, PAST, _times(scale, "height"), _times(scale, "width")))

        def wrap(held: Any) -> nn.Module:
            return _Decoder(held, first)

        inputs = ("latent",) if first else ("latent", *names)
        graph = "first" if first else "next"
        stage = Stage(graph, "decoder", deferred(wrap, network, source.real), inputs, ("frames", *names))

        def reference(**values: Tensor) -> tuple[Tensor, ...]:
            whole: Any = source.network(network)
            mean = torch.tensor(config.latents_mean).view(1, -1, 1, 1, 1)
            std = torch.tensor(config.latents_std).view(1, -1, 1, 1, 1)
            x = whole.post_quant_conv(values["latent"] * std + mean)
            past: list[Any] = [None] * len(names) if first else [values[name] for name in names]
            out = whole.decoder(x, feat_cache=past, feat_idx=[0], first_chunk=first)
            # diffusers leaves out what lies before the video, and writes a word for a convolution that
            # rested.
            _, _, _, height, width = values["latent"].shape
            for index, (channels, scale) in enumerate(pasts):
                if not isinstance(past[index], Tensor):
                    past[index] = torch.zeros(1, channels, PAST, scale * height, scale * width)
                past[index] = F.pad(past[index], (0, 0, 0, 0, PAST - past[index].shape[2], 0))
            return (out, *past)

        name = "vae_decoder" if first else "vae_decoder_next"
        return Component(name, "vae_decoder", inputs, ("frames", *names), (stage,), axes, reference)

    return part(True), part(False)


def _times(scale: int, axis: str) -> str:
    return axis if scale == 1 else f"{scale}*{axis}"
