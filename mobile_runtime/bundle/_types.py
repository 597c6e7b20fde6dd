"""Generated from manifest.schema.json by generate.py: edit the schema, then run the command."""

# fmt: off
# ruff: noqa
from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, Union


class InputRef(TypedDict):
    """The value of an input that the user may edit."""

    input: Name


class OpRef(TypedDict):
    """The result of an earlier op of the plan."""

    op: Name


class TextInput(TypedDict):
    """A text, for example a prompt."""

    type: Literal["text"]
    label: str
    default: str
    max_length: int


class SeedInput(TypedDict):
    """A seed of the initial noise."""

    type: Literal["seed"]
    label: NotRequired[str]
    default: Seed


class IntegerInput(TypedDict):
    """A whole number with bounds."""

    type: Literal["integer"]
    label: str
    default: int
    minimum: int
    maximum: int


class NumberInput(TypedDict):
    """A number with bounds."""

    type: Literal["number"]
    label: str
    default: float
    minimum: float
    maximum: float


class ImageInput(TypedDict):
    """A photo; the default is a file of the bundle. Width and height are what the plan resizes it to, in
    pixels."""

    type: Literal["image"]
    label: str
    width: int
    height: int
    default: Path


class NamedSchedule(TypedDict):
    """ComfyUI's sigma schedule by name, for a rectified flow with this shift; denoise < 1 runs only its
    end. The steps from start to end run; finish makes an early end 0, and until replaces the sigmas
    at or below it by itself."""

    name: Literal["simple", "normal", "sgm_uniform", "beta", "linear_quadratic", "kl_optimal", "karras", "exponential", "ddim_uniform"]
    steps: StepsValue
    shift: float
    denoise: float
    multiplier: float
    curve: NotRequired[Literal["flow", "flux"]]
    drop_penultimate: NotRequired[bool]
    start: NotRequired[int]
    end: NotRequired[int]
    finish: NotRequired[bool]
    until: NotRequired[float]


class LtxvSchedule(TypedDict):
    """ComfyUI's LTXVScheduler for a latent of that many cells (tokens); start, end and finish as in a
    named schedule."""

    name: Literal["ltxv"]
    steps: StepsValue
    tokens: int
    max_shift: float
    base_shift: float
    stretch: bool
    terminal: float
    multiplier: float
    start: NotRequired[int]
    end: NotRequired[int]
    finish: NotRequired[bool]
    until: NotRequired[float]


class ManualSchedule(TypedDict):
    """Sigmas as they are, falling; start, end and finish as in a named schedule."""

    name: Literal["manual"]
    sigmas: list[float]
    multiplier: float
    start: NotRequired[int]
    end: NotRequired[int]
    finish: NotRequired[bool]
    until: NotRequired[float]


class AdaptiveLeap(TypedDict):
    """Leap once the drift's similarity from step to step has not risen by more than tolerance above its
    best for patience measurements, and not before the fraction minimum of the steps."""

    mode: Literal["adaptive"]
    minimum: float
    tolerance: float
    patience: int


class FixedLeap(TypedDict):
    """Leap at a step, counted from 0; at the last one or behind it there is no leap."""

    mode: Literal["fixed"]
    step: int


class PairMerge(TypedDict):
    """Merge every token of frame pairs with its place in the next frame."""

    mode: Literal["pairs"]
    component: Name
    begin: NotRequired[float]
    end: float
    keep_first_frame: bool


class SimilarMerge(TypedDict):
    """Merge the most similar token pairs of frame pairs, share of them."""

    mode: Literal["similar"]
    component: Name
    begin: NotRequired[float]
    end: float
    keep_first_frame: bool
    share: float


class EncodeText(TypedDict):
    """Prompt to text features."""

    id: Name
    op: Literal["encode_text"]
    component: Name
    text: TextValue


class LoadText(TypedDict):
    """Text features that were encoded on the desk, from a safetensors file: context [1, L, D] and mask [1,
    L], float32."""

    id: Name
    op: Literal["load_text"]
    features: Path


class ZeroText(TypedDict):
    """Text features of zeros in the shape of others (ComfyUI's ConditioningZeroOut); keep_mask keeps their
    mask, else it is zero, too."""

    id: Name
    op: Literal["zero_text"]
    text: OpRef
    keep_mask: bool


class Later(TypedDict):
    """What follows the photo of a clip: component encodes each of pieces times frames grey frames, with
    what came before, to one more latent frame."""

    component: Name
    pieces: int
    frames: int


class EncodeImage(TypedDict):
    """Photo to the latent of one frame: centre crop and bilinear resize to width x height pixels, then the
    VAE encoder. With later, to the latent of a clip that begins with the photo and goes on in grey."""

    id: Name
    op: Literal["encode_image"]
    component: Name
    image: ImageValue
    width: int
    height: int
    later: NotRequired[Later]


class Noise(TypedDict):
    """Standard normal noise of torch's CPU generator; shape is [B, C, F, H, W]."""

    id: Name
    op: Literal["noise"]
    seed: SeedValue
    shape: list[int]


class Given(TypedDict):
    """What a network that reads more channels than it makes reads besides the latent: first a mask, 1 in
    the latent's frame 0 and 0 after, of so many channels that all are channels, then latent; zeros
    where latent is left out."""

    channels: int
    latent: NotRequired[OpRef]


class Denoise(TypedDict):
    """The sampling loop over a noised latent; first_frame keeps frame 0 of the latent as given,
    keep_first_frame as latent has it; leap ends the loop early, merge names a twin for a window of
    sigmas; frame_rate is told to networks that read it; the sampler renoise draws the noise of its
    steps from renoise_seed + 1."""

    id: Name
    op: Literal["denoise"]
    component: Name
    noise: OptionalOpRef
    latent: NotRequired[OptionalOpRef]
    keep_first_frame: NotRequired[bool]
    positive: OpRef
    negative: OptionalOpRef
    guidance: NumberValue
    first_frame: OptionalOpRef
    motion: NumberValue
    sampler: Literal["euler", "heun", "dpm_2", "dpmpp_2m", "res_multistep", "gradient_estimation", "ddim", "uni_pc", "uni_pc_bh2", "renoise"]
    renoise_seed: NotRequired[SeedValue]
    schedule: Schedule
    leap: NotRequired[Leap]
    merge: NotRequired[Merge]
    frame_rate: NotRequired[float]
    given: NotRequired[Given]


class Tiles(TypedDict):
    """Overlapping pieces of a latent, decoded one by one and blended (ComfyUI's VAEDecodeTiled). size and
    overlap are [frames, height, width] in latent cells; scale is what one cell becomes."""

    size: list[int]
    overlap: list[int]
    scale: list[int]


class Decode(TypedDict):
    """Latent to frames; with next, component decodes the first latent frame and next every later one, with
    what came before."""

    id: Name
    op: Literal["decode"]
    component: Name
    latent: OpRef
    tiles: NotRequired[Tiles]
    next: NotRequired[Name]


class Webp(TypedDict):
    """An animated WebP instead of an MP4; effort is libwebp's method, 0 (fast) to 6."""

    lossless: bool
    quality: int
    effort: int


class WriteVideo(TypedDict):
    """Frames to an MP4 file, or to an animated WebP."""

    id: Name
    op: Literal["write_video"]
    frames: OpRef
    fps: float
    webp: NotRequired[Webp]


class Stage(TypedDict):
    """One graph run with one file of weights."""

    graph: Name
    weights: Path
    precision: NotRequired[Literal["fp32", "fp16", "int8", "int4"]]


class LatentRgb(TypedDict):
    """A linear map from latent channels to red, green, blue in [-1, 1], for small previews."""

    factors: list[list[float]]
    bias: list[float]


class Component(TypedDict):
    """A network: graphs, and the stages that run them in order with their weights."""

    kind: Literal["text_encoder", "denoiser", "vae_encoder", "vae_decoder"]
    tokenizer: NotRequired[Path]
    max_tokens: NotRequired[int]
    pad_id: NotRequired[int]
    latent_rgb: NotRequired[LatentRgb]
    graphs: dict[str, Path]
    stages: list[Stage]
    inputs: list[TensorName]
    outputs: list[TensorName]


class File(TypedDict):
    """A file of the bundle."""

    path: Path
    sha256: Sha256
    bytes: int


class Memory(TypedDict):
    """What a run needs, in bytes."""

    weights: int
    largest_stage: int
    activations_estimate: int


class Tolerance(TypedDict):
    """The least PSNR in dB that a component's outputs must reach against the recorded ones."""

    min_psnr: float


class SelfTest(TypedDict):
    """Seeded inputs and expected outputs, tensors <component>.in.<name> and <component>.out.<name>."""

    file: Path
    components: dict[str, Tolerance]


class Manifest(TypedDict):
    """A PocketVideo bundle: a compiled video workflow that runs on a device, with a digest of every file."""

    format: Literal["pocketvideo-bundle"]
    version: Literal[1]
    name: str
    created_by: str
    license: str
    inputs: dict[str, Input]
    plan: list[Op]
    components: dict[str, Component]
    files: list[File]
    memory: Memory
    self_test: SelfTest
    workflow: Path


Path = str


Name = str


TensorName = str


Sha256 = str


Seed = str


TextValue = Union[str, "InputRef"]


SeedValue = Union["Seed", "InputRef"]


StepsValue = Union[int, "InputRef"]


NumberValue = Union[float, "InputRef"]


ImageValue = Union["Path", "InputRef"]


OptionalOpRef = Union[None, "OpRef"]


Input = Union["TextInput", "SeedInput", "IntegerInput", "NumberInput", "ImageInput"]


Schedule = Union["NamedSchedule", "LtxvSchedule", "ManualSchedule"]


Leap = Union["AdaptiveLeap", "FixedLeap"]


Merge = Union["PairMerge", "SimilarMerge"]


Op = Union["EncodeText", "LoadText", "ZeroText", "EncodeImage", "Noise", "Denoise", "Decode", "WriteVideo"]
