"""Which adapter takes which network, by the network's class and what of it is wanted."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from ..errors import ExportError
from ..stages import Component

# Class and kind of component to module and function. Modules are imported when they are needed, because the
# classes of diffusers and transformers take seconds to import.
ADAPTERS: dict[tuple[str, str], tuple[str, str]] = {
    ("Denoiser", "denoiser"): ("stages_denoiser", "denoiser_component"),
    ("STDiT3", "denoiser"): ("adapters.stdit3", "stdit3_component"),
    ("LTXVideoTransformer3DModel", "denoiser"): ("adapters.ltxv", "ltxv_component"),
    ("WanTransformer3DModel", "denoiser"): ("adapters.wan", "wan_component"),
}


def supported_classes(kind: str) -> list[str]:
    """Names of the network classes that have an adapter for this kind of component."""
    return sorted(name for name, made in ADAPTERS if made == kind)


def adapt(network: nn.Module, kind: str, **options: Any) -> Component:
    """A network as a component of this kind; `options` are the adapter's own.

    Raises `ExportError` for a class without an adapter, naming those that have one.
    """
    for base in type(network).__mro__:
        if (base.__name__, kind) in ADAPTERS:
            module, function = ADAPTERS[base.__name__, kind]
            make: Callable[..., Component] = getattr(import_module(f"..{module}", __package__), function)
            return make(network, **options)
    raise ExportError(
        f"The network {type(network).__name__} has no adapter for a {kind}; those that have one are "
        f"{', '.join(supported_classes(kind))}."
    )
