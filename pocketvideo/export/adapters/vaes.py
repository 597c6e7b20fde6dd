"""Autoencoders of published families from single files, alone or inside an all-in-one checkpoint."""

import re
from typing import Any

import torch
from diffusers import AutoencoderKLWan

from ..checkpoints import VAE_PREFIXES, Header, PartFile
from ..errors import ExportError
from .files import FileWeights
from .ltxv_vae import LTXVDecoder, LTXVEncoder, ltxv_decoder_component, ltxv_encoder_component
from .opening import Opened
from .wan_vae import wan_decoder_components

LTXV_PIXELS = 32
_OLD_BLOCKS = [
    ["res_x", 4],
    ["compress_all", 1],
    ["res_x_y", 1],
    ["res_x", 3],
    ["compress_all", 1],
    ["res_x_y", 1],
    ["res_x", 3],
    ["compress_all", 1],
    ["res_x", 3],
    ["res_x", 4],
]
_SHARED = {"latent_channels": 128, "patch_size": 4, "norm_layer": "pixel_norm", "latent_log_var": "uniform"}


def _up(layers: int, noise: bool) -> list[Any]:
    return ["res_x", {"num_layers": layers, "inject_noise": noise}]


_TWICE = ["compress_all", {"residual": True, "multiplier": 2}]
# The three layouts of files that say nothing of themselves (0.9.0, 0.9.1, 0.9.5), as ComfyUI has them.
LTXV_LAYOUTS: tuple[dict[str, Any], ...] = (
    {"blocks": _OLD_BLOCKS},
    {
        "encoder_blocks": _OLD_BLOCKS,
        "decoder_blocks": [_up(5, True), _TWICE, _up(6, True), _TWICE, _up(7, True), _TWICE, _up(8, False)],
        "timestep_conditioning": True,
    },
    {
        "encoder_blocks": [
            ["res_x", 4],
            ["compress_space_res", {"multiplier": 2}],
            ["res_x", 6],
            ["compress_time_res", {"multiplier": 2}],
            ["res_x", 6],
            ["compress_all_res", {"multiplier": 2}],
            ["res_x", 2],
            ["compress_all_res", {"multiplier": 2}],
            ["res_x", 2],
        ],
        "decoder_blocks": [
            _up(5, False),
            _TWICE,
            _up(5, False),
            _TWICE,
            _up(5, False),
            _TWICE,
            _up(5, False),
        ],
        "timestep_conditioning": True,
    },
)


def open_ltxv_decoder(header: Header, part: PartFile) -> Opened:
    """LTX-Video's decoder in a file. Raises `ExportError`."""
    prefix, config = _ltxv(header)
    with torch.device("meta"):
        network = LTXVDecoder(config).eval().requires_grad_(False)
    weights = FileWeights(network, header, prefix, ltxv_decoder_name, part, "decoder.")
    return Opened(ltxv_decoder_component(network, weights.source(network)), config)


def open_ltxv_encoder(header: Header, part: PartFile) -> Opened:
    """LTX-Video's encoder in a file. Raises `ExportError`."""
    prefix, config = _ltxv(header)
    with torch.device("meta"):
        network = LTXVEncoder(config).eval().requires_grad_(False)
    weights = FileWeights(network, header, prefix, ltxv_encoder_name, part, "encoder.")
    return Opened(ltxv_encoder_component(network, LTXV_PIXELS, weights.source(network)), config)


def ltxv_decoder_name(name: str) -> str:
    """A parameter of `LTXVDecoder` as LTX-Video's files call it."""
    return _ltxv_name(name, "decoder")


def ltxv_encoder_name(name: str) -> str:
    """A parameter of `LTXVEncoder` as LTX-Video's files call it."""
    return _ltxv_name(name, "encoder")


def _ltxv_name(name: str, side: str) -> str:
    if name.startswith("statistics."):
        return f"per_channel_statistics.{name.rpartition('.')[2]}-of-means"
    for ours, theirs in (
        (".resnets.", ".res_blocks."),
        (".norm3.", ".norm3.norm."),
        (".conv_shortcut.conv.", ".conv_shortcut."),
    ):
        name = name.replace(ours, theirs)
    return f"{side}.{name}"


def _ltxv(header: Header) -> tuple[str, dict[str, Any]]:
    marker = "decoder.up_blocks.0.res_blocks.0.conv1.conv.weight"
    prefix = _prefix(header, marker)
    config = header.part("vae")
    if not config:
        shapes = header.below(prefix)
        old = shapes[marker][0] == 512
        layout = 0 if old else 2 if "encoder.down_blocks.1.conv.conv.bias" in shapes else 1
        config = _SHARED | LTXV_LAYOUTS[layout]
    if config.get("norm_layer", "group_norm") != "pixel_norm" or config.get("dims", 3) != 3:
        raise ExportError(f"The VAE in '{header.path.name}' is of a form that is not exported.")
    return prefix, config


def open_wan_decoder(header: Header, part: PartFile) -> Opened:
    """Wan's decoder of a clip's first latent frame. Raises `ExportError`."""
    return _wan(header, part, 0)


def open_wan_decoder_next(header: Header, part: PartFile) -> Opened:
    """Wan's decoder of every later latent frame. Raises `ExportError`."""
    return _wan(header, part, 1)


def _wan(header: Header, part: PartFile, piece: int) -> Opened:
    prefix = _prefix(header, "decoder.middle.0.residual.0.gamma")
    shapes = header.below(prefix)
    config = {
        "base_dim": shapes.get("decoder.head.0.gamma", (0,))[0],
        "z_dim": shapes.get("conv2.weight", (0,))[0],
        "dim_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "temperal_downsample": [False, True, True],
        "out_channels": shapes.get("decoder.head.2.weight", (0,))[0],
    }
    if config["z_dim"] != 16:
        raise ExportError(
            f"The VAE in '{header.path.name}' has {config['z_dim']} channels; only Wan 2.1's is exported."
        )
    with torch.device("meta"):
        network = AutoencoderKLWan(**config).eval().requires_grad_(False)
    network.encoder, network.quant_conv = torch.nn.Identity(), torch.nn.Identity()
    weights = FileWeights(network, header, prefix, wan_vae_name, part, "decoder.")
    component = wan_decoder_components(network, weights.source(network))[piece]
    return Opened(component, config)


def wan_vae_name(name: str) -> str:
    """A parameter of diffusers' class as Wan's files call it."""
    found = re.fullmatch(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.(.*)", name)
    if found:
        block, kind, index, rest = found.groups()
        place = 4 * int(block) + (int(index) if kind == "resnets" else 3)
        name = f"decoder.upsamples.{place}.{rest}"
    found = re.fullmatch(r"decoder\.mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name)
    if found:
        kind, index, rest = found.groups()
        name = f"decoder.middle.{2 * int(index) + (kind == 'attentions')}.{rest}"
    for ours, theirs in (
        (".norm1.", ".residual.0."),
        (".conv1.", ".residual.2."),
        (".norm2.", ".residual.3."),
        (".conv2.", ".residual.6."),
        (".conv_shortcut.", ".shortcut."),
        ("decoder.conv_in.", "decoder.conv1."),
        ("decoder.norm_out.", "decoder.head.0."),
        ("decoder.conv_out.", "decoder.head.2."),
        ("post_quant_conv.", "conv2."),
    ):
        name = name.replace(ours, theirs)
    return name


def _prefix(header: Header, marker: str) -> str:
    for prefix in VAE_PREFIXES:
        if prefix + marker in header.shapes:
            return prefix
    raise ExportError(f"'{header.path.name}' holds no {marker}; it is another VAE.")
