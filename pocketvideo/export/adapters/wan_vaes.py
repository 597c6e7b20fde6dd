"""Wan's autoencoders from a single file: 2.1's of 16 channels and 2.2's of 48."""

import re
from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKLWan

from ..checkpoints import Header, PartFile
from ..errors import ExportError
from .files import FileWeights
from .opening import Opened
from .source import Source
from .vaes import vae_prefix
from .wan_vae import wan_decoder_components
from .wan_vae_encoder import wan_clip_components, wan_picture_component

MARKER = "decoder.middle.0.residual.0.gamma"
RESIDUAL = "decoder.upsamples.0.upsamples.0.residual.2.weight"
CHANNELS = {False: 16, True: 48}
# Of Wan 2.2's latents, as its authors publish them; diffusers' class has those of 2.1.
MEAN_22 = (
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
    0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723,
    -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
)  # fmt: skip
STD_22 = (
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
    0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
    0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
)  # fmt: skip


def open_decoder(header: Header, part: PartFile) -> Opened:
    """The decoder of a clip's first latent frame. Raises `ExportError`."""
    network, source, config = _half(header, part, "decoder")
    return Opened(wan_decoder_components(network, source)[0], config)


def open_decoder_next(header: Header, part: PartFile) -> Opened:
    """The decoder of every later latent frame. Raises `ExportError`."""
    network, source, config = _half(header, part, "decoder")
    return Opened(wan_decoder_components(network, source)[1], config)


def open_encoder(header: Header, part: PartFile) -> Opened:
    """The encoder of a picture. Raises `ExportError`."""
    network, source, config = _half(header, part, "encoder")
    return Opened(wan_picture_component(network, source), config)


def open_encoder_start(header: Header, part: PartFile) -> Opened:
    """The encoder of the picture that a clip begins with. Raises `ExportError`."""
    network, source, config = _half(header, part, "encoder")
    return Opened(wan_clip_components(network, source)[0], config)


def open_encoder_next(header: Header, part: PartFile) -> Opened:
    """The encoder of every four further frames. Raises `ExportError`."""
    network, source, config = _half(header, part, "encoder")
    return Opened(wan_clip_components(network, source)[1], config)


def _half(header: Header, part: PartFile, half: str) -> tuple[AutoencoderKLWan, Source, dict[str, Any]]:
    """The network on the meta device without its other half, where its numbers come from, and its sizes."""
    prefix = vae_prefix(header, MARKER)
    shapes = header.below(prefix)
    residual = RESIDUAL in shapes
    config: dict[str, Any] = {
        "base_dim": shapes.get("encoder.conv1.weight", (0,))[0],
        "decoder_base_dim": shapes.get("decoder.head.0.gamma", (0,))[0],
        "z_dim": shapes.get("conv2.weight", (0,))[0],
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "temperal_downsample": [False, True, True],
        "in_channels": shapes.get("encoder.conv1.weight", (0, 0))[1],
        "out_channels": shapes.get("decoder.head.2.weight", (0,))[0],
        "is_residual": residual,
    }
    if residual:
        config |= {"patch_size": 2, "scale_factor_spatial": 16}
        config |= {"latents_mean": list(MEAN_22), "latents_std": list(STD_22)}
    if config["z_dim"] != CHANNELS[residual] or config["out_channels"] != (12 if residual else 3):
        raise ExportError(
            f"The VAE in '{header.path.name}' has {config['z_dim']} channels; only Wan 2.1's, of 16, and Wan "
            "2.2's, of 48, are exported."
        )
    with torch.device("meta"):
        network = AutoencoderKLWan(**config).eval().requires_grad_(False)
    if half == "decoder":
        network.encoder, network.quant_conv = torch.nn.Identity(), torch.nn.Identity()
    else:
        network.decoder, network.post_quant_conv = torch.nn.Identity(), torch.nn.Identity()
    rename = partial(wan_vae_name, residual=residual)
    weights = FileWeights(network, header, prefix, rename, part, f"{half}.")
    return network, weights.source(network), config


def wan_vae_name(name: str, residual: bool = False) -> str:
    """A parameter of diffusers' class as Wan's files call it; `residual` is Wan 2.2's autoencoder."""
    name = _nested(name) if residual else _flat(name)
    found = re.fullmatch(r"(\w+)\.mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name)
    if found:
        half, kind, index, rest = found.groups()
        name = f"{half}.middle.{2 * int(index) + (kind == 'attentions')}.{rest}"
    for ours, theirs in (
        (".norm1.", ".residual.0."),
        (".conv1.", ".residual.2."),
        (".norm2.", ".residual.3."),
        (".conv2.", ".residual.6."),
        (".conv_shortcut.", ".shortcut."),
        (".conv_in.", ".conv1."),
        (".norm_out.", ".head.0."),
        (".conv_out.", ".head.2."),
        ("post_quant_conv.", "conv2."),
        ("quant_conv.", "conv1."),
    ):
        name = name.replace(ours, theirs)
    return name


def _flat(name: str) -> str:
    """2.1 counts all layers of a half: those of the decoder's four blocks are four each."""
    found = re.fullmatch(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.(.*)", name)
    if found:
        block, kind, index, rest = found.groups()
        return f"decoder.upsamples.{4 * int(block) + (int(index) if kind == 'resnets' else 3)}.{rest}"
    return name.replace("encoder.down_blocks.", "encoder.downsamples.")


def _nested(name: str) -> str:
    """2.2 counts the layers of every block: its residual layers, then the one that changes sizes."""
    for direction, last in (("up", 3), ("down", 2)):
        name = re.sub(
            rf"\.{direction}_blocks\.(\d+)\.resnets\.(\d+)\.",
            rf".{direction}samples.\1.{direction}samples.\2.",
            name,
        )
        name = re.sub(
            rf"\.{direction}_blocks\.(\d+)\.{direction}sampler\.",
            rf".{direction}samples.\1.{direction}samples.{last}.",
            name,
        )
    return name
