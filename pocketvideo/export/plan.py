"""A plan: what the device computes, as plain data. Knows nothing of nodes or of torch."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..few_step import Card

# Components that run with the weights of another one.
TWIN_OF = {"denoiser_pairs": "denoiser", "denoiser_similar": "denoiser"}

# The network that is sampled first; a second one is `denoiser_2`.
FIRST_DENOISER = "denoiser"

Value = Any  # a JSON literal, {"input": name} or {"op": id}


@dataclass(frozen=True)
class Geometry:
    """What the compiler must know of a model: latent layout and the values it was made for.

    `spatial` and `temporal` are the VAE's compression: T frames of H by W pixels are a latent of
    [1, channels, (T - 1) // temporal + 1, H // spatial, W // spatial]. `shift`, `curve` and `multiplier` (of
    the time that the network is told) are those of ComfyUI's sampling for the model. `any_multiplier` says
    that the network is told the same whatever multiplier a node sets, `zero_is_padding` that it passes over
    text features of zeros, `merges` that its denoiser has twins that merge tokens,
    `pieces` that its VAE decodes frame by frame. `frame_rate` is what its network is told where a node says
    nothing, None for a network that is told none. `few_step` is the card of a distilled student, `parent` the
    file beside it whose text encoder and VAE a student has.
    """

    channels: int
    spatial: int
    temporal: int
    shift: float
    motion: float
    multiplier: float = 1.0
    curve: str = "flow"
    any_multiplier: bool = False
    zero_is_padding: bool = False
    merges: bool = True
    frame_rate: float | None = None
    pieces: bool = False
    few_step: Card | None = None
    parent: str | None = None

    def latent_shape(self, width: int, height: int, frames: int) -> list[int]:
        """The latent's shape [1, C, F, H, W] for a clip of that many pixels and frames."""
        return [
            1,
            self.channels,
            (frames - 1) // self.temporal + 1,
            height // self.spatial,
            width // self.spatial,
        ]


class Lookups(Protocol):
    """What the desk knows and a workflow only names."""

    def model(self, name: str) -> Geometry:
        """The geometry of the model with this file name; raises `WorkflowError` where there is none."""

    def image(self, name: str) -> Path:
        """The file of the input image with this name; raises `WorkflowError` where there is none."""


@runtime_checkable
class FileLookups(Protocol):
    """What a desk knows besides where ComfyUI's own loaders find their files."""

    def file(self, kind: str, name: str) -> Path:
        """A file in ComfyUI's models folder of this kind (`vae`, `loras`, ...); raises `WorkflowError`."""

    def tokenizer(self, family: str) -> Path | None:
        """The tokenizer.json that ComfyUI ships for a family's text encoder, where it is known."""


@dataclass(frozen=True)
class ExampleFrame:
    """A picture to draw, by the words of the node Example First Frame."""

    colour: str
    shape: str
    background: str
    place_for: str
    seed: int
    size: int


PhotoSource = Path | ExampleFrame


@dataclass(frozen=True)
class Plan:
    """A compiled workflow.

    `inputs` are what the device lets its user edit, `ops` the operations in order, `photos` the images that
    the inputs refer to by their path in the bundle, `workflow` the part of the prompt that was compiled,
    `texts` the prompts to encode on the desk, by the path of their features in the bundle. `relatives` are
    the model files of further denoisers, by component: they lie beside the first one's, `model_name`.
    """

    model_name: str
    inputs: Mapping[str, dict[str, Any]]
    ops: tuple[dict[str, Any], ...]
    photos: Mapping[str, PhotoSource] = field(default_factory=dict)
    workflow: Mapping[str, Any] = field(default_factory=dict)
    # Where components come from that ComfyUI's own loaders loaded, by component.
    parts: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    relatives: Mapping[str, str] = field(default_factory=dict)

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the components that the ops use, in order of first use."""
        used = [op["component"] for op in self.ops if "component" in op]
        twins = [op["merge"]["component"] for op in self.ops if "merge" in op]
        later = [op["next"] for op in self.ops if "next" in op]
        later += [op["later"]["component"] for op in self.ops if "later" in op]
        return tuple(dict.fromkeys([*used, *twins, *later]))


class PlanBuilder:
    """Collects inputs and ops. What is already there is given back, so nothing runs twice."""

    def __init__(self) -> None:
        self.inputs: dict[str, dict[str, Any]] = {}
        self.ops: list[dict[str, Any]] = []
        self.photos: dict[str, PhotoSource] = {}
        # Denoisers by the file that each comes from: the name of one of ours, or a PartFile.
        self.denoisers: dict[Hashable | None, str] = {}

    def denoiser(self, file: Hashable | None) -> str:
        """The name of the denoiser from this file: `denoiser`, and `denoiser_2`, ... for further files."""
        number = len(self.denoisers) + 1
        name = FIRST_DENOISER if number == 1 else f"{FIRST_DENOISER}_{number}"
        return self.denoisers.setdefault(file, name)

    def input(self, name: str, **description: Any) -> Value:
        """Declare an editable input, or reuse the one of the same name, which must be described alike."""
        if self.inputs.setdefault(name, description) != description:
            raise ValueError(f"the input {name} is described twice, differently")
        return {"input": name}

    def op(self, name: str, op: str, **arguments: Any) -> Value:
        """Append an op under this id, or reuse an op that does exactly the same."""
        wanted = {"op": op, **arguments}
        for known in self.ops:
            if {key: value for key, value in known.items() if key != "id"} == wanted:
                return {"op": known["id"]}
        taken = {known["id"] for known in self.ops}
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        self.ops.append({"id": unique, **wanted})
        return {"op": unique}
