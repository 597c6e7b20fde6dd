"""From a file that a workflow's loader names to a component: which function opens which network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..checkpoints import PartFile, read_header
from ..errors import ExportError
from ..stages import Component


@dataclass(frozen=True)
class Opened:
    """A component from a file.

    `identity` is what its graphs depend on, `described` goes into the bundle's manifest, `files` are texts
    that the manifest names, by their name in the component's folder; `length` is the number of text tokens.
    """

    component: Component
    identity: dict[str, Any]
    length: int = 1
    described: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


# Family and kind to a function in this folder. Modules are imported when they are needed:
# diffusers and transformers take seconds.
OPENERS: dict[tuple[str, str], tuple[str, str]] = {
    ("ltxv", "denoiser"): ("transformers", "open_ltxv"),
    ("wan", "denoiser"): ("transformers", "open_wan"),
    ("ltxv", "text_encoder"): ("texts", "open_t5"),
    ("wan", "text_encoder"): ("texts", "open_umt5"),
    ("ltxv", "vae_decoder"): ("vaes", "open_ltxv_decoder"),
    ("ltxv", "vae_encoder"): ("vaes", "open_ltxv_encoder"),
    ("turbo_vaed", "vae_decoder"): ("turbo", "open_turbo_decoder"),
    ("wan", "vae_decoder"): ("wan_vaes", "open_decoder"),
    ("wan", "vae_decoder_next"): ("wan_vaes", "open_decoder_next"),
    ("wan", "vae_encoder"): ("wan_vaes", "open_encoder"),
    ("wan", "vae_encoder_start"): ("wan_vaes", "open_encoder_start"),
    ("wan", "vae_encoder_next"): ("wan_vaes", "open_encoder_next"),
}
# Wan 2.2's small model has the layers of Wan 2.1 in other sizes.
OPENERS |= {("wan22", kind): where for (family, kind), where in OPENERS.items() if family == "wan"}


def open_part(part: PartFile) -> Opened:
    """Open the network of this family and kind in a file; its numbers are read when they are needed.

    Raises `ExportError` for a network without an adapter, a missing package, or a form that is not exported.
    """
    if (part.family, part.kind) not in OPENERS:
        raise ExportError(f"The {part.kind} of {part.family} in '{part.path.name}' has no adapter.")
    module, function = OPENERS[part.family, part.kind]
    try:
        opener: Callable[..., Any] = getattr(import_module(f".{module}", __package__), function)
    except ImportError as error:
        raise ExportError(
            f"Exporting '{part.path.name}' needs the package {error.name}, which is not installed; "
            'run: pip install "pocketvideo[export]".'
        ) from None
    header = read_header(part.path)
    made: Opened = opener(header, part)
    return made
