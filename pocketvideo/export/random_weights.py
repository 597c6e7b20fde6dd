"""Networks with random weights: what an architecture weighs and how fast it runs, without its weights.

A network lies on torch's meta device, without memory. A piece of it gets its numbers when it is needed, and
the numbers of a parameter depend on the seed and the parameter's name alone, so pieces that are made at
different times agree. So a network larger than memory is exported one stage at a time.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..models.config import PRESETS, DenoiserConfig
from ..models.denoiser import Denoiser
from ..models.stdit3 import STDIT3_XL2, STDiT3, STDiT3Config
from .adapters.pieces import Pieces
from .adapters.stdit3 import stdit3_component
from .stages import Component
from .stages_denoiser import denoiser_component


class RandomWeights(Pieces):
    """Random numbers that keep activations near one in size: scaled by the fan-in, norms near one."""

    def __init__(self, network: nn.Module, seed: int) -> None:
        super().__init__(network)
        self.seed = seed

    def numbers(self, name: str, tensor: Tensor) -> Tensor:
        """The values that follow from the seed and this name."""
        if not tensor.is_floating_point():
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        if name.endswith("freqs"):
            # Rotary frequencies are no weights: random ones near zero would put every frame in one place.
            return 10000.0 ** -(torch.arange(tensor.numel()).reshape(tensor.shape) / tensor.numel())
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
        values = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim >= 2:
            return values / math.sqrt(math.prod(tensor.shape[1:]))
        return values * 0.02 + (1 if "norm" in name and name.endswith("weight") else 0)


@dataclass(frozen=True)
class Preset:
    """An architecture that can be exported without weights.

    `component` makes the denoiser's stages for a seed; `temporal` and `spatial` are how many frames and
    pixels one step of the latent grid spans; `length` is the number of text tokens, `identity` what a graph
    depends on.
    """

    component: Callable[[int], Component]
    temporal: int
    spatial: int
    length: int
    identity: dict[str, Any]

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Frames, height and width of the latent of a clip."""
        return (frames - 1) // self.temporal + 1, height // self.spatial, width // self.spatial


def _denoiser(config: DenoiserConfig, seed: int) -> Component:
    with torch.device("meta"):
        network = Denoiser(config).eval().requires_grad_(False)
    weights = RandomWeights(network, seed)
    return denoiser_component(network, weights.real, lambda: weights.lazily(network, "blocks"))


def _preset(name: str, temporal: int, spatial: int, length: int) -> Preset:
    config = PRESETS[name]
    return Preset(lambda seed: _denoiser(config, seed), temporal, spatial, length, config.to_dict())


def stdit3(config: STDiT3Config, seed: int) -> Component:
    """STDiT3 of any size with random weights, whose blocks exist only while they are exported or run."""
    with torch.device("meta"):
        network = STDiT3(config).eval().requires_grad_(False)
    weights = RandomWeights(network, seed)
    return stdit3_component(network, weights.source(network, "spatial_blocks", "temporal_blocks"))


def _ltxv(seed: int) -> Component:
    # Its classes take seconds to import, which other presets do without.
    from .adapters.transformers import LTXV_2B, ltxv_component, ltxv_network

    network = ltxv_network(LTXV_2B)
    return ltxv_component(network, RandomWeights(network, seed).source(network, "transformer_blocks"))


def _wan(seed: int) -> Component:
    from .adapters.transformers import WAN_1_3B, wan_component, wan_network

    network = wan_network(WAN_1_3B)
    return wan_component(network, RandomWeights(network, seed).source(network, "blocks"))


# MobileI2V has LTX-Video's VAE and its release reads no text; Open-Sora's VAE halves twice in time, thrice in
# space.
RANDOM_PRESETS: dict[str, Preset] = {
    "mobilei2v_270m": _preset("mobilei2v_270m", temporal=8, spatial=32, length=1),
    "pocket_shapes": _preset("pocket_shapes", temporal=4, spatial=32, length=32),
    "ltxv_2b": Preset(_ltxv, 8, 32, 128, {"class": "LTXVideoTransformer3DModel"}),
    "wan_1_3b": Preset(_wan, 4, 8, 512, {"class": "WanTransformer3DModel"}),
    "stdit3_xl2": Preset(lambda seed: stdit3(STDIT3_XL2, seed), 4, 8, 300, STDIT3_XL2.to_dict()),
}
