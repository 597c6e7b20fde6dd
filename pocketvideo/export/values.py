"""What travels along the links of a workflow while it is compiled; `SOCKET` is the name a person sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from .checkpoints import PartFile
from .plan import Geometry, PhotoSource, Value


@dataclass(frozen=True)
class Merge:
    """How a denoiser merges tokens, and in which part (0 to 1) of the schedule."""

    mode: str
    share: float
    start: float
    end: float
    keep_first_frame: bool

    @property
    def component(self) -> str:
        """The denoiser's twin that merges so."""
        return f"denoiser_{self.mode}"


@dataclass(frozen=True)
class Model:
    """A denoiser, perhaps one that merges: that changes neither its schedules nor its text encoder.

    `reads` is the name of that text encoder where it is not the model's own; `given` the number of channels
    that the network reads besides the latent, for a picture to begin with. `own` is the file of one of our
    models; a student has its parent's name, because what belongs to one belongs to the other.
    """

    SOCKET: ClassVar[str] = "MODEL"
    name: str
    geometry: Geometry
    merge: Merge | None = field(default=None, compare=False)
    file: PartFile | None = field(default=None, compare=False)
    reads: str | None = None
    given: int = field(default=0, compare=False)
    own: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Clip:
    """A text encoder with its tokenizer; `missing` where a checkpoint has none."""

    SOCKET: ClassVar[str] = "CLIP"
    name: str
    file: PartFile | None = None
    missing: bool = False


@dataclass(frozen=True)
class Vae:
    """A video autoencoder."""

    SOCKET: ClassVar[str] = "VAE"
    name: str
    geometry: Geometry
    file: PartFile | None = None


@dataclass(frozen=True)
class Start:
    """A photo that a clip of this size begins with, for a network that reads it besides the latent."""

    photo: "Photo"
    vae: Vae
    width: int
    height: int
    frames: int


@dataclass(frozen=True)
class Conditioning:
    """A prompt, encoded later: its role (positive or negative) is known only at the sampler.

    Of a prompt that ConditioningZeroOut went over (`zero`) only the shape of its features is left.
    """

    SOCKET: ClassVar[str] = "CONDITIONING"
    clip: Clip
    text: str
    motion: float | None = None
    zero: bool = False
    frame_rate: float | None = None
    start: Start | None = None


@dataclass(frozen=True)
class Photo:
    """An input image, perhaps scaled to a size in pixels; or frames, a value of the plan."""

    SOCKET: ClassVar[str] = "IMAGE"
    source: PhotoSource | None = None
    frames: Value = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Latent:
    """An empty latent of a size in pixels, perhaps with a first frame; or one of the plan (`sampled`).

    A sampled latent names the `model` that sampled it, an encoded one the `vae`. `held` says that its frame 0
    is given, and stays so in every sampler that follows.
    """

    SOCKET: ClassVar[str] = "LATENT"
    width: int
    height: int
    frames: int
    first_frame: Photo | None = None
    vae: Vae | None = None
    sampled: Value = None
    model: Model | None = None
    held: bool = False


@dataclass(frozen=True)
class Noise:
    """The seed of the initial noise; None for noise of zeros."""

    SOCKET: ClassVar[str] = "NOISE"
    seed: int | None


@dataclass(frozen=True)
class Sampler:
    """A sampling algorithm, perhaps with a leap: its settings as the plan holds them."""

    SOCKET: ClassVar[str] = "SAMPLER"
    name: str
    leap: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Sigmas:
    """A noise schedule, or the part of one from step `start` to `end`.

    `schedule` is what the plan's schedule says of it, without its steps and part. `steps` are those of the
    whole; where they are `editable`, at least `least`. `finish` makes an early end 0; `to_zero` says that the
    whole ends there. LTXVScheduler counts the cells of `latent`. `until` is where another model's schedule
    takes over.
    """

    SOCKET: ClassVar[str] = "SIGMAS"
    schedule: Mapping[str, Any]
    steps: int
    editable: bool = True
    least: int = 1
    to_zero: bool = True
    start: int = 0
    end: int | None = None
    finish: bool = False
    latent: Latent | None = None
    until: float | None = None

    def part(self, start: int, end: int | None, *, finish: bool = False) -> "Sigmas":
        """The steps from `start` to `end` of this part, counted from its own beginning."""
        last = self.end
        if end is not None:
            last = self.start + end if last is None else min(last, self.start + end)
        return replace(self, start=self.start + start, end=last, finish=self.finish or finish)


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
