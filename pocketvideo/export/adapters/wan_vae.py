"""The decoder of Wan's autoencoders, diffusers' class: it makes a video piece by piece.

Its convolutions look back in time only, so a latent frame is decoded with the last two frames of what every
convolution saw before: activations that travel from piece to piece (`past_00`, ...). The first latent frame
makes one frame of the video and every other four, which are two graphs with the same weights: a component
`first` and a component `next`. What a device holds at a time does not grow with the video's length.
"""

from typing import Any

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify
from torch import Tensor, nn
from torch.nn import functional as F

from ..forms import deferred
from ..rearrange import unfold_height, unfold_width
from ..stages import Axes, Component, Stage
from .source import HELD, Source
from .wan_vae_layers import (
    PAST,
    Past,
    Statistics,
    attention,
    enlarged,
    finer,
    norm,
    resnet,
    statistics,
    upsample,
)


class _Decoder(nn.Module):
    """Normalised latent of one frame to frames, with the past of every convolution in and out."""

    def __init__(self, network: Any, first: bool) -> None:
        super().__init__()
        self.post_quant_conv, self.decoder, self.first = network.post_quant_conv, network.decoder, first
        self.statistics = Statistics(network.config)
        self.patch = network.config.patch_size or 1

    def forward(self, latent: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        past, decoder = Past(None if self.first else before), self.decoder
        latent = latent * self.statistics.std + self.statistics.mean
        x = past(decoder.conv_in, self.post_quant_conv(latent))
        middle = decoder.mid_block
        x = resnet(middle.resnets[0], x, past)
        for layer, block in zip(middle.attentions, middle.resnets[1:], strict=True):
            x = resnet(block, attention(layer, x), past)
        for block in decoder.up_blocks:
            x = self._up(block, x, past)
        x = past(decoder.conv_out, F.silu(norm(decoder.norm_out, x)))
        return unfold_width(unfold_height(x, self.patch), self.patch), *past.after

    def _up(self, block: Any, x: Tensor, past: Past) -> Tensor:
        before = x
        for layer in block.resnets:
            x = resnet(layer, x, past)
        for layer in _upsamplers(block):
            x = upsample(layer, x, past)
        shortcut = getattr(block, "avg_shortcut", None)
        return x if shortcut is None else x + enlarged(shortcut, before, self.first)


def _upsamplers(block: Any) -> list[Any]:
    """The upsampler of a block of either autoencoder, or none."""
    if hasattr(block, "upsampler"):
        return [] if block.upsampler is None else [block.upsampler]
    return list(block.upsamplers or ())


def _pasts(network: Any) -> list[tuple[int, int]]:
    """Channels of what every convolution remembers, and how much finer than the latent it is."""
    decoder, scale = network.decoder, 1
    found = [(decoder.conv_in.in_channels, scale)]
    for layer in decoder.mid_block.resnets:
        found += [(layer.in_dim, scale), (layer.out_dim, scale)]
    for block in decoder.up_blocks:
        for layer in block.resnets:
            found += [(layer.in_dim, scale), (layer.out_dim, scale)]
        for upsampler in _upsamplers(block):
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
            "frames": Axes((1, 3, "out_frames", "out_height", "out_width")),
        }
        for name, (channels, scale) in zip(names, pasts, strict=True):
            axes[name] = Axes((1, channels, PAST, finer(scale, "height"), finer(scale, "width")))

        def wrap(held: Any) -> nn.Module:
            return _Decoder(held, first)

        inputs = ("latent",) if first else ("latent", *names)
        graph = "first" if first else "next"
        stage = Stage(graph, "decoder", deferred(wrap, network, source.real), inputs, ("frames", *names))

        def reference(**values: Tensor) -> tuple[Tensor, ...]:
            whole: Any = source.network(network)
            mean, std = statistics(config)
            x = whole.post_quant_conv(values["latent"] * std + mean)
            past: list[Any] = [None] * len(names) if first else [values[name] for name in names]
            out = whole.decoder(x, feat_cache=past, feat_idx=[0], first_chunk=first)
            if config.patch_size is not None:
                out = unpatchify(out, patch_size=config.patch_size)
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
