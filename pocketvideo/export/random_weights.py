"""Networks with random weights: what an architecture weighs and how fast it runs, without its weights.

A network lies on torch's meta device, without memory. A piece of it gets its numbers when it is needed, and
the numbers of a parameter depend on the seed and the parameter's name alone, so pieces that are made at
different times agree. So a network larger than memory is exported one stage at a time.
"""

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..models.config import PRESETS, DenoiserConfig
from ..models.denoiser import Denoiser
from ..models.stdit3 import STDIT3_XL2, STDiT3, STDiT3Config
from .adapters.source import Source
from .adapters.stdit3 import stdit3_component
from .forms import without
from .stages import Component
from .stages_denoiser import denoiser_component

M = TypeVar("M", bound=nn.Module)


class RandomWeights:
    """Gives the pieces of a network on the meta device their numbers, float32, on the CPU."""

    def __init__(self, network: nn.Module, seed: int) -> None:
        """Note the name of every parameter and buffer; modules given to `real` hold these same tensors."""
        tensors = [*network.named_parameters(), *network.named_buffers()]
        self.seed = seed
        self._named = {id(tensor): (name, tensor) for name, tensor in tensors}

    def real(self, module: M) -> M:
        """A deep copy of a piece of the network with its numbers."""
        held = {id(tensor) for tensor in [*module.parameters(), *module.buffers()]}
        # A deep copy takes what the memo holds for a tensor's id instead of copying the tensor.
        memo: dict[int, Any] = {key: self._draw(*self._named[key]) for key in held & self._named.keys()}
        return copy.deepcopy(module, memo)

    def lazily(self, network: M, *lists: str) -> M:
        """The whole network, where the modules of these lists have their numbers only while they run."""
        made = self.real(without(network, *lists))
        for name in lists:
            blocks = getattr(network, name)
            setattr(made, name, nn.ModuleList(_OnDemand(block, self.real) for block in blocks))
        return made

    def _draw(self, name: str, tensor: Tensor) -> Tensor:
        """Values that keep activations near one in size: scaled by the fan-in, norms near one."""
        if not tensor.is_floating_point():
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
        values = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim >= 2:
            values /= math.sqrt(math.prod(tensor.shape[1:]))
        else:
            values = values * 0.02 + (1 if "norm" in name and name.endswith("weight") else 0)
        return nn.Parameter(values, requires_grad=False) if isinstance(tensor, nn.Parameter) else values


class _OnDemand(nn.Module):
    """A module that is made when called and forgotten after."""

    def __init__(self, source: nn.Module, real: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        # In a tuple, so that the source is not a child and takes part in nothing.
        self.held = (source, real)

    def forward(self, *values: Any, **named: Any) -> Any:
        source, real = self.held
        return real(source)(*values, **named)


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
    lists = ("spatial_blocks", "temporal_blocks")
    return stdit3_component(network, Source(weights.real, lambda: weights.lazily(network, *lists)))


# MobileI2V has LTX-Video's VAE and its release reads no text; Open-Sora's VAE halves twice in time, thrice in
# space.
RANDOM_PRESETS: dict[str, Preset] = {
    "mobilei2v_270m": _preset("mobilei2v_270m", temporal=8, spatial=32, length=1),
    "pocket_shapes": _preset("pocket_shapes", temporal=4, spatial=32, length=32),
    "stdit3_xl2": Preset(lambda seed: stdit3(STDIT3_XL2, seed), 4, 8, 300, STDIT3_XL2.to_dict()),
}
