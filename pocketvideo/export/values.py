"""What travels along the links of a workflow while it is compiled; `SOCKET` is the name a person sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .plan import Geometry, PhotoSource, Value


@dataclass(frozen=True)
class Model:
    """A denoiser."""

    SOCKET: ClassVar[str] = "MODEL"
    name: str
    geometry: Geometry


@dataclass(frozen=True)
class Clip:
    """A text encoder with its tokenizer."""

    SOCKET: ClassVar[str] = "CLIP"
    name: str


@dataclass(frozen=True)
class Vae:
    """A video autoencoder."""

    SOCKET: ClassVar[str] = "VAE"
    name: str
    geometry: Geometry


@dataclass(frozen=True)
class Conditioning:
    """A prompt, encoded later: its role (positive or negative) is known only at the sampler."""

    SOCKET: ClassVar[str] = "CONDITIONING"
    clip: Clip
    text: str
    motion: float | None = None


@dataclass(frozen=True)
class Photo:
    """An input image, or a value of the plan that is frames (`frames`)."""

    SOCKET: ClassVar[str] = "IMAGE"
    source: PhotoSource | None = None
    frames: Value = None


@dataclass(frozen=True)
class Latent:
    """An empty latent of a size in pixels, perhaps with a first frame; or a sampled one (`sampled`)."""

    SOCKET: ClassVar[str] = "LATENT"
    width: int
    height: int
    frames: int
    first_frame: Photo | None = None
    vae: Vae | None = None
    sampled: Value = None
    model: Model | None = None


@dataclass(frozen=True)
class Noise:
    """The seed of the initial noise."""

    SOCKET: ClassVar[str] = "NOISE"
    seed: int


@dataclass(frozen=True)
class Sampler:
    """A sampling algorithm, perhaps with a leap: its settings as the plan holds them."""

    SOCKET: ClassVar[str] = "SAMPLER"
    name: str
    leap: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Sigmas:
    """A noise schedule."""

    SOCKET: ClassVar[str] = "SIGMAS"
    model: Model
    scheduler: str
    steps: int
    denoise: float


@dataclass(frozen=True)
class Guider:
    """A denoiser with its prompts."""

    SOCKET: ClassVar[str] = "GUIDER"
    model: Model
    positive: Conditioning
    negative: Conditioning | None
    guidance: float


@dataclass(frozen=True)
class Video:
    """Frames with a speed."""

    SOCKET: ClassVar[str] = "VIDEO"
    frames: Value
    fps: float
