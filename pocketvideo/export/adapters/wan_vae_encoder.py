"""The encoder of Wan's autoencoders, diffusers' class: of one picture, or of a clip that begins with one.

A clip is encoded piece by piece: its first frame gives the first latent frame and every four further frames
one more, with what came before as activations that travel from piece to piece, as in the decoder.
"""

from typing import Any

from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import (
    WanAttentionBlock,
    WanResample,
    WanResidualBlock,
    patchify,
)
from torch import Tensor, nn
from torch.nn import functional as F

from ..forms import deferred
from ..rearrange import fold_height, fold_width
from ..stages import Axes, Component, Stage
from .source import HELD, Source
from .wan_vae_layers import (
    PAST,
    Past,
    Statistics,
    attention,
    downsample,
    finer,
    norm,
    reduced,
    resnet,
    statistics,
)


class _Encoder(nn.Module):
    """Frames to the normalised mean of the posterior of one latent frame, with every convolution's past."""

    def __init__(self, network: Any, first: bool) -> None:
        super().__init__()
        self.quant_conv, self.encoder, self.first = network.quant_conv, network.encoder, first
        self.statistics = Statistics(network.config)
        self.channels = network.config.z_dim
        self.patch = network.config.patch_size or 1

    def forward(self, image: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        past, encoder = Past(None if self.first else before), self.encoder
        x = past(encoder.conv_in, fold_height(fold_width(image, self.patch), self.patch))
        for block in encoder.down_blocks:
            x = _down(block, x, past)
        middle = encoder.mid_block
        x = resnet(middle.resnets[0], x, past)
        for layer, block in zip(middle.attentions, middle.resnets[1:], strict=True):
            x = resnet(block, attention(layer, x), past)
        x = self.quant_conv(past(encoder.conv_out, F.silu(norm(encoder.norm_out, x))))
        latent = (x[:, : self.channels] - self.statistics.mean) / self.statistics.std
        return latent, *past.after


class _Picture(_Encoder):
    """The same of one picture, after which nothing comes."""

    def __init__(self, network: Any) -> None:
        super().__init__(network, first=True)

    def forward(self, image: Tensor, *before: Tensor) -> Tensor:  # type: ignore[override]
        latent: Tensor = super().forward(image)[0]
        return latent


def _down(block: Any, x: Tensor, past: Past) -> Tensor:
    """A layer of Wan 2.1's encoder, or a block of layers of Wan 2.2's."""
    if isinstance(block, WanResidualBlock):
        return resnet(block, x, past)
    if isinstance(block, WanAttentionBlock):
        return attention(block, x)
    if isinstance(block, WanResample):
        return downsample(block, x, past)
    out = x
    for layer in block.resnets:
        out = resnet(layer, out, past)
    if block.downsampler is not None:
        out = downsample(block.downsampler, out, past)
    return out + reduced(block.avg_shortcut, x)


def _layers(encoder: Any) -> list[Any]:
    """The layers of the encoder that remember something, in the order in which they run."""
    found: list[Any] = []
    for block in encoder.down_blocks:
        if isinstance(block, (WanResidualBlock, WanResample)):
            found.append(block)
        elif not isinstance(block, WanAttentionBlock):
            found += [*block.resnets, *([] if block.downsampler is None else [block.downsampler])]
    return [*found, *encoder.mid_block.resnets]


def _pasts(network: Any, scale: int) -> list[tuple[int, int, int]]:
    """Channels and frames of what every convolution remembers, and how much finer than the latent it is."""
    encoder = network.encoder
    found = [(encoder.conv_in.in_channels, PAST, scale)]
    for layer in _layers(encoder):
        if isinstance(layer, WanResidualBlock):
            found += [(layer.in_dim, PAST, scale), (layer.out_dim, PAST, scale)]
            continue
        scale //= 2
        if layer.mode == "downsample3d":
            found.append((layer.dim, 1, scale))
    return [*found, (encoder.conv_out.in_channels, PAST, scale)]


def wan_picture_component(network: AutoencoderKLWan, source: Source = HELD) -> Component:
    """The encoder of one picture."""
    config: Any = network.config
    pixels = _pixels(config)
    axes = {
        "image": Axes((1, 3, 1, f"{pixels}*height", f"{pixels}*width")),
        "latent": Axes((1, config.z_dim, 1, "height", "width")),
    }
    stage = Stage("encoder", "encoder", deferred(_Picture, network, source.real), ("image",), ("latent",))

    def reference(**values: Tensor) -> Tensor:
        return _encoded(source.network(network), values["image"], None)

    return Component("vae_encoder", "vae_encoder", ("image",), ("latent",), (stage,), axes, reference)


def wan_clip_components(network: AutoencoderKLWan, source: Source = HELD) -> tuple[Component, Component]:
    """The encoder of a clip's first frame and that of every further piece, which share their weights."""
    config: Any = network.config
    pixels, piece = _pixels(config), 2 ** sum(config.temperal_downsample)
    pasts = _pasts(network, pixels // (config.patch_size or 1))
    names = tuple(f"past_{index:02}" for index in range(len(pasts)))

    def part(first: bool) -> Component:
        axes = {
            "image": Axes((1, 3, 1 if first else piece, f"{pixels}*height", f"{pixels}*width")),
            "latent": Axes((1, config.z_dim, 1, "height", "width")),
        }
        for name, (channels, frames, scale) in zip(names, pasts, strict=True):
            axes[name] = Axes((1, channels, frames, finer(scale, "height"), finer(scale, "width")))

        def wrap(held: Any) -> nn.Module:
            return _Encoder(held, first)

        inputs = ("image",) if first else ("image", *names)
        graph = "start" if first else "next"
        stage = Stage(graph, "encoder", deferred(wrap, network, source.real), inputs, ("latent", *names))

        def reference(**values: Tensor) -> tuple[Tensor, ...]:
            past: list[Any] = [None] * len(names) if first else [values[name] for name in names]
            latent = _encoded(source.network(network), values["image"], past)
            # diffusers leaves out what lies before the video.
            after = [
                F.pad(value, (0, 0, 0, 0, frames - value.shape[2], 0))
                for value, (_, frames, _) in zip(past, pasts, strict=True)
            ]
            return (latent, *after)

        name = "vae_encoder_start" if first else "vae_encoder_next"
        return Component(name, "vae_encoder", inputs, ("latent", *names), (stage,), axes, reference)

    return part(True), part(False)


def _pixels(config: Any) -> int:
    """How many pixels of a side make a cell of the latent."""
    return int(2 ** (len(config.dim_mult) - 1) * (config.patch_size or 1))


def _encoded(network: Any, image: Tensor, past: list[Any] | None) -> Tensor:
    """What diffusers' own encoder makes of frames; it leaves what comes next in `past`."""
    if network.config.patch_size is not None:
        image = patchify(image, patch_size=network.config.patch_size)
    out = network.quant_conv(network.encoder(image, feat_cache=past, feat_idx=[0]))
    mean, std = statistics(network.config)
    latent: Tensor = (out[:, : network.config.z_dim] - mean) / std
    return latent
