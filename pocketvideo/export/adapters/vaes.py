"""LTX-Video's autoencoder from a single file, alone or inside an all-in-one checkpoint."""

from typing import Any

import torch

from ..checkpoints import VAE_PREFIXES, Header, PartFile
from ..errors import ExportError
from .files import FileWeights
from .ltxv_vae import LTXVDecoder, LTXVEncoder, ltxv_decoder_component, ltxv_encoder_component
from .opening import Opened

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
    prefix = vae_prefix(header, marker)
    config = header.part("vae")
    if not config:
        shapes = header.below(prefix)
        old = shapes[marker][0] == 512
        layout = 0 if old else 2 if "encoder.down_blocks.1.conv.conv.bias" in shapes else 1
        config = _SHARED | LTXV_LAYOUTS[layout]
    if config.get("norm_layer", "group_norm") != "pixel_norm" or config.get("dims", 3) != 3:
        raise ExportError(f"The VAE in '{header.path.name}' is of a form that is not exported.")
    return prefix, config


def vae_prefix(header: Header, marker: str) -> str:
    """What comes before this name in the file. Raises `ExportError` where it is not there."""
    for prefix in VAE_PREFIXES:
        if prefix + marker in header.shapes:
            return prefix
    raise ExportError(f"'{header.path.name}' holds no {marker}; it is another VAE.")
