"""What a published model file holds, read from its header alone: no torch, no weights.

ComfyUI's loaders tell a model by the names and shapes of its tensors, and so does this file. A `Family` is
what a workflow is compiled for; `adapters/` says how its networks are cut.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import WorkflowError
from .modelfile import MAX_HEADER_BYTES
from .plan import Geometry

# Where a transformer's tensors may lie in a file; all-in-one checkpoints use the first.
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")
VAE_PREFIXES = ("vae.", "")


@dataclass(frozen=True)
class Family:
    """A published video model: how its files are told, and what the compiler must know of its latents.

    `clip_type` is the type that ComfyUI's CLIP loader is set to, `tokens` the length that prompts are padded
    to. Of two families with one marker that with `sized`, a tensor and its first size, is the narrower.
    `reads` is the name of the family whose text encoder it reads, where that is another.
    """

    name: str
    title: str
    marker: str
    vae_marker: str
    clip_type: str
    tokens: int
    geometry: Geometry
    sized: tuple[str, int] | None = None
    reads: str | None = None

    @property
    def text(self) -> "Family":
        """The family whose text encoder this one reads."""
        return self if self.reads is None else next(f for f in FAMILIES if f.name == self.reads)


# Sampling as comfy/supported_models.py sets it.
FAMILIES = (
    Family(
        "ltxv",
        "LTX-Video",
        "adaln_single.emb.timestep_embedder.linear_1.bias",
        "decoder.up_blocks.0.res_blocks.0.conv1.conv.weight",
        "ltxv",
        128,
        Geometry(128, 32, 8, 2.37, 0.0, curve="flux", merges=False, frame_rate=25.0),
    ),
    Family(
        "wan",
        "Wan 2.1",
        "head.modulation",
        "decoder.middle.0.residual.0.gamma",
        "wan",
        512,
        Geometry(16, 8, 4, 8.0, 0.0, multiplier=1000.0, merges=False, pieces=True),
    ),
    Family(
        "wan22",
        "Wan 2.2 5B",
        "head.modulation",
        "decoder.upsamples.0.upsamples.0.residual.2.weight",
        "",
        512,
        Geometry(48, 16, 4, 8.0, 0.0, multiplier=1000.0, merges=False, pieces=True),
        # Four cells of 48 channels.
        sized=("head.head.weight", 192),
        reads="wan",
    ),
)
NARROW_FIRST = sorted(FAMILIES, key=lambda family: family.sized is None)


@dataclass(frozen=True)
class Header:
    """Names and shapes of a safetensors file's tensors, and the config in its metadata."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    config: dict[str, Any] = field(default_factory=dict)

    def below(self, prefix: str) -> dict[str, tuple[int, ...]]:
        """The tensors whose names begin with this, without it."""
        return {name[len(prefix) :]: shape for name, shape in self.shapes.items() if name.startswith(prefix)}

    def part(self, name: str) -> dict[str, Any]:
        """The sizes that the file itself gives for `transformer` or `vae`."""
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file; raises `WorkflowError` where it is none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise ValueError("its header has no possible length")
            header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        shapes = {name: tuple(int(size) for size in value["shape"]) for name, value in header.items()}
        config = json.loads(metadata.get("config", "{}"))
        return Header(path, shapes, config if isinstance(config, dict) else {})
    except OSError as error:
        raise WorkflowError(f"The model file {path.name} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WorkflowError(
            f"The file {path.name} is not a safetensors file ({error}); only those are exported, because "
            "they hold no code."
        ) from None


def denoiser_family(header: Header) -> tuple[Family, str] | None:
    """The family of the transformer in a file and the prefix of its tensors, or None."""
    for prefix in PREFIXES:
        for family in NARROW_FIRST:
            name, size = family.sized or (family.marker, None)
            fits = size is None or header.shapes.get(prefix + name, (0,))[:1] == (size,)
            if prefix + family.marker in header.shapes and fits:
                return family, prefix
    return None


def vae_family(header: Header) -> tuple[Family, str] | None:
    """The family of the autoencoder in a file and the prefix of its tensors, or None."""
    for prefix in VAE_PREFIXES:
        for family in NARROW_FIRST:
            if prefix + family.vae_marker in header.shapes:
                return family, prefix
    return None


def family_of(clip_type: str) -> Family | None:
    """The family whose text encoder ComfyUI loads with this type."""
    return next((family for family in FAMILIES if family.clip_type == clip_type), None)


@dataclass(frozen=True)
class PartFile:
    """Where a component comes from: a family's network of this kind in a file, and LoRAs to bake in.

    `tokenizer` is the file of a text encoder's tokenizer where the network's file does not hold it, `latents`
    that of the VAE whose latents a decoder in its place decodes.
    """

    family: str
    kind: str
    path: Path
    loras: tuple[tuple[Path, float], ...] = ()
    tokenizer: Path | None = None
    latents: Path | None = None
