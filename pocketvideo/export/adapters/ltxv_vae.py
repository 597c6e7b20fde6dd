"""LTX-Video's autoencoder in every layout that its files have: blocks as the file's own config lists them.

Built from diffusers' blocks, because its classes know three layouts and files have more. A decoder that is
told how noisy a latent is (from 0.9.1 on) is always told the same, so its time embeddings are folded into
constants; the noise that it wants is an input.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import (
    LTXVideoCausalConv3d,
    LTXVideoDownsampler3d,
    LTXVideoMidBlock3d,
    LTXVideoResnetBlock3d,
    LTXVideoUpsampler3d,
)
from diffusers.models.embeddings import PixArtAlphaCombinedTimestepSizeEmbeddings
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ExportError
from ..forms import deferred
from ..rearrange import fold_height, fold_width, unfold_height, unfold_width
from ..stages import Axes, Component, Stage
from .source import HELD, Source

EPS = 1e-8
STRIDES = {"compress_all": (2, 2, 2), "compress_space": (1, 2, 2), "compress_time": (2, 1, 1)}
BASE = 128


def _blocks(config: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, values in config.get(name) or config["blocks"]:
        yield kind, values if isinstance(values, dict) else {"num_layers": int(values)}


class _Statistics(nn.Module):
    """Mean and deviation of the latents, by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def unpacked(self) -> tuple[Tensor, Tensor]:
        return self.mean.view(1, -1, 1, 1, 1), self.std.view(1, -1, 1, 1, 1)


class LTXVDecoder(nn.Module):
    """Normalised latent `[1, C, F, h, w]` to frames `[1, 3, T, H, W]`, as the file's config says.

    `noise` of the latent's shape is mixed in where the decoder is told how noisy its latent is.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        blocks = list(_blocks(config, "decoder_blocks"))
        self.timed = bool(config.get("timestep_conditioning", False))
        self.noise_scale = float(config.get("decode_noise_scale", 0.025))
        self.time = float(config.get("decode_timestep", 0.05))
        self.patch = int(config.get("patch_size", 1))
        causal = bool(config.get("causal_decoder", False))
        width = int(config.get("decoder_base_channels", BASE))
        for kind, values in blocks:
            if kind == "res_x_y":
                width = int(values.get("in_channels", width * values.get("multiplier", 2)))
            elif kind in STRIDES:
                width *= int(values.get("multiplier", 1))
        channels = int(config["latent_channels"])
        self.statistics = _Statistics(channels)
        self.conv_in = LTXVideoCausalConv3d(channels, width, 3, is_causal=causal)
        self.up_blocks = nn.ModuleList()
        for kind, values in reversed(blocks):
            if values.get("inject_noise", False):
                raise ExportError(
                    "This VAE draws noise inside its decoder (LTX-Video 0.9.1), which is not exported; use "
                    "the VAE of another release."
                )
            if kind == "res_x":
                layers = int(values["num_layers"])
                block: nn.Module = LTXVideoMidBlock3d(
                    width, layers, is_causal=causal, timestep_conditioning=self.timed
                )
            elif kind == "res_x_y":
                out = int(values.get("out_channels", width // values.get("multiplier", 2)))
                block, width = LTXVideoResnetBlock3d(width, out, is_causal=causal), out
            elif kind in STRIDES:
                factor = int(values.get("multiplier", 1))
                residual = kind == "compress_all" and bool(values.get("residual", False))
                block = LTXVideoUpsampler3d(
                    width, STRIDES[kind], is_causal=causal, residual=residual, upscale_factor=factor
                )
                width //= factor
            else:
                raise ExportError(f"This VAE's decoder has a block {kind}, which is not exported.")
            self.up_blocks.append(block)
        self.conv_out = LTXVideoCausalConv3d(
            width, int(config.get("out_channels", 3)) * self.patch**2, 3, is_causal=causal
        )
        if self.timed:
            self.timestep_scale_multiplier = nn.Parameter(torch.tensor(1000.0))
            self.last_time_embedder = PixArtAlphaCombinedTimestepSizeEmbeddings(width * 2, 0)
            self.last_scale_shift_table = nn.Parameter(torch.empty(2, width))
        _pad(self, config.get("spatial_padding_mode", "reflect"))

    def forward(self, latent: Tensor, noise: Tensor | None = None) -> Tensor:
        """As diffusers' blocks compute it; what the export is held to."""
        mean, std = self.statistics.unpacked()
        if noise is not None:
            latent = noise * self.noise_scale + (1 - self.noise_scale) * latent
        x = self.conv_in(latent * std + mean)
        time = self.time * self.timestep_scale_multiplier[None] if self.timed else None
        for block in self.up_blocks:
            x = block(x, time) if isinstance(block, LTXVideoMidBlock3d) else block(x)
        x = _norm(x)
        if time is not None:
            embedded = self.last_time_embedder(time, None, None, batch_size=1, hidden_dtype=x.dtype)
            shift, scale = self.last_scale_shift_table + embedded.reshape(2, -1)
            x = x * (1 + scale[:, None, None, None]) + shift[:, None, None, None]
        x = self.conv_out(F.silu(x))
        return unfold_width(unfold_height(x, self.patch), self.patch)


class LTXVEncoder(nn.Module):
    """Frames `[1, 3, T, H, W]` to the normalised mean of the posterior, `[1, C, F, h, w]`."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.patch = int(config.get("patch_size", 1))
        self.channels = int(config["latent_channels"])
        width = int(config.get("encoder_base_channels", BASE))
        self.conv_in = LTXVideoCausalConv3d(int(config.get("in_channels", 3)) * self.patch**2, width, 3)
        self.down_blocks = nn.ModuleList()
        for kind, values in _blocks(config, "encoder_blocks"):
            factor = int(values.get("multiplier", 2))
            stride = STRIDES.get(kind.removesuffix("_res").removesuffix("_x_y"))
            if kind == "res_x":
                block: nn.Module = LTXVideoMidBlock3d(width, int(values["num_layers"]))
            elif kind == "res_x_y":
                block, width = LTXVideoResnetBlock3d(width, factor * width), factor * width
            elif stride is not None and kind.endswith("_res"):
                block = LTXVideoDownsampler3d(width, factor * width, stride)
                width *= factor
            elif stride is not None:
                out = factor * width if kind.endswith("_x_y") else width
                block, width = LTXVideoCausalConv3d(width, out, 3, stride), out
            else:
                raise ExportError(f"This VAE's encoder has a block {kind}, which is not exported.")
            self.down_blocks.append(block)
        more = {"per_channel": self.channels, "uniform": 1, "constant": 1, "none": 0}
        out = self.channels + more[config.get("latent_log_var", "per_channel")]
        self.conv_out = LTXVideoCausalConv3d(width, out, 3)
        self.statistics = _Statistics(self.channels)
        _pad(self, config.get("spatial_padding_mode", "zeros"))

    def forward(self, image: Tensor) -> Tensor:
        """As diffusers' blocks compute it; what the export is held to."""
        x = self.conv_in(fold_height(fold_width(image, self.patch), self.patch))
        for block in self.down_blocks:
            x = block(x)
        x = self.conv_out(F.silu(_norm(x)))
        mean, std = self.statistics.unpacked()
        return (x[:, : self.channels] - mean) / std


def _norm(x: Tensor) -> Tensor:
    """Root mean square over the channels."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPS)


def _pad(network: nn.Module, mode: str) -> None:
    """Let every convolution pad rows and columns like this."""
    if mode not in ("zeros", "reflect", "replicate"):
        raise ExportError(f"This VAE pads its pictures by {mode}, which is not exported.")
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and any(module.padding):
            module.padding_mode = cast(Any, mode)


class _Reflecting(nn.Module):
    """A convolution that mirrors rows and columns, without the limits of torch's own padding."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias, self.stride = conv.weight, conv.bias, conv.stride

    def forward(self, x: Tensor) -> Tensor:
        for axis in (3, 4):
            count = x.shape[axis]
            places = torch.arange(-1, count + 1).abs()
            x = x.index_select(axis, torch.minimum(places, 2 * (count - 1) - places))
        return F.conv3d(x, self.weight, self.bias, self.stride)


class _Resnet(nn.Module):
    """diffusers' residual block with its modulation as a constant `[4, C]`, within five axes."""

    def __init__(self, source: LTXVideoResnetBlock3d, time: Tensor | None) -> None:
        super().__init__()
        self.conv1, self.conv2 = source.conv1, source.conv2
        self.norm3, self.conv_shortcut = source.norm3, source.conv_shortcut
        self.table = None
        if source.scale_shift_table is not None and time is not None:
            table = source.scale_shift_table + time.reshape(4, -1)
            self.table = nn.Parameter(table[..., None, None, None], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        out = _norm(x)
        if self.table is not None:
            out = out * (1 + self.table[1]) + self.table[0]
        out = _norm(self.conv1(F.silu(out)))
        if self.table is not None:
            out = out * (1 + self.table[3]) + self.table[2]
        out = self.conv2(F.silu(out))
        if self.norm3 is not None and self.conv_shortcut is not None:
            x = self.conv_shortcut(self.norm3(x.movedim(1, -1)).movedim(-1, 1))
        return x + out


def _resnets(block: nn.Module, time: Tensor | None) -> nn.Module:
    """A block of the network in export form, for one time."""
    if isinstance(block, LTXVideoResnetBlock3d):
        return _Resnet(block, time)
    if isinstance(block, LTXVideoMidBlock3d):
        embedded = None
        if block.time_embedder is not None and time is not None:
            embedded = block.time_embedder(time, None, None, batch_size=1, hidden_dtype=time.dtype)
        return nn.Sequential(*(_Resnet(resnet, embedded) for resnet in block.resnets))
    return block


def _mirrored(network: nn.Module) -> nn.Module:
    """The network with every convolution that mirrors replaced."""
    for name, child in network.named_children():
        if isinstance(child, nn.Conv3d) and child.padding_mode == "reflect":
            setattr(network, name, _Reflecting(child))
        else:
            _mirrored(child)
    return network


class _Decoder(nn.Module):
    def __init__(self, network: LTXVDecoder) -> None:
        super().__init__()
        self.patch, self.noise_scale = network.patch, network.noise_scale
        self.statistics, self.conv_in, self.conv_out = network.statistics, network.conv_in, network.conv_out
        time, self.table = None, None
        with torch.no_grad():
            if network.timed:
                time = network.time * network.timestep_scale_multiplier[None]
                last = network.last_time_embedder(time, None, None, batch_size=1, hidden_dtype=time.dtype)
                table = network.last_scale_shift_table + last.reshape(2, -1)
                self.table = nn.Parameter(table[..., None, None, None], requires_grad=False)
            self.up_blocks = nn.ModuleList(_resnets(block, time) for block in network.up_blocks)
        _mirrored(self)

    def forward(self, latent: Tensor, *noise: Tensor) -> Tensor:
        mean, std = self.statistics.unpacked()
        for value in noise:
            latent = value * self.noise_scale + (1 - self.noise_scale) * latent
        x = self.conv_in(latent * std + mean)
        for block in self.up_blocks:
            x = block(x)
        x = _norm(x)
        if self.table is not None:
            x = x * (1 + self.table[1]) + self.table[0]
        x = self.conv_out(F.silu(x))
        return unfold_width(unfold_height(x, self.patch), self.patch)


class _Encoder(nn.Module):
    def __init__(self, network: LTXVEncoder) -> None:
        super().__init__()
        self.network = network
        network.down_blocks = nn.ModuleList(_resnets(block, None) for block in network.down_blocks)
        _mirrored(self)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.network(image)
        return out


def ltxv_decoder_component(network: LTXVDecoder, source: Source = HELD) -> Component:
    """The decoder as one stage; a timed one has `noise` as its second input."""
    shape = (1, network.conv_in.in_channels, "frames", "height", "width")
    axes = {
        "latent": Axes(shape),
        "noise": Axes(shape),
        "frames": Axes((1, 3, "out_frames", "out_height", "out_width")),
    }
    inputs = ("latent", "noise") if network.timed else ("latent",)

    def wrap(held: LTXVDecoder) -> nn.Module:
        return _Decoder(source.real(held))  # type: ignore[arg-type]

    stage = Stage("decoder", "decoder", deferred(wrap, network), inputs, ("frames",))

    def reference(**values: Tensor) -> Tensor:
        out: Tensor = source.network(network)(*(values[name] for name in inputs))
        return out

    return Component("vae_decoder", "vae_decoder", inputs, ("frames",), (stage,), axes, reference)


def ltxv_encoder_component(network: LTXVEncoder, pixels: int, source: Source = HELD) -> Component:
    """The encoder of one picture as one stage; a latent cell is `pixels` wide."""
    axes = {
        "image": Axes((1, 3, 1, f"{pixels}*height", f"{pixels}*width")),
        "latent": Axes((1, network.channels, 1, "height", "width")),
    }

    def wrap(held: LTXVEncoder) -> nn.Module:
        return _Encoder(source.real(held))  # type: ignore[arg-type]

    stage = Stage("encoder", "encoder", deferred(wrap, network), ("image",), ("latent",))

    def reference(**values: Tensor) -> Tensor:
        out: Tensor = source.network(network)(values["image"])
        return out

    return Component("vae_encoder", "vae_encoder", ("image",), ("latent",), (stage,), axes, reference)
