"""Every family of video models at its smallest, and the graph that samples one over HTTP.

Weights are random, so results say nothing of quality: they are finite, repeatable, and change when something
changes. `FAMILIES` names the families; `install` puts their files onto a host; `sample` runs one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .client import ComfyClient, RunResult
from .graphs import JSON, LATENT, LOADER, MODEL, SAMPLED, node, save_latent
from .pocket import install_random_model, read_latent
from .server import ComfyServer

FAMILY_PACK = Path(__file__).resolve().with_name("family_nodes")
POSITIVE, NEGATIVE = "2", "3"
IMAGE, VAE, GIVEN, VISION = "20", "21", "22", "23"
NOISE, GUIDER, SAMPLER, SIGMAS = "30", "31", "32", "33"
LOW_LOADER, LOW_GUIDER, LOW_SAMPLED, SPLIT = "41", "42", "43", "44"
Link = list[Any]


@dataclass(frozen=True)
class Text:
    """Sizes of random text features; `masked` tokens at the end are padding, and None gives no mask."""

    tokens: int = 6
    dim: int = 32
    pooled: int = 0
    masked: int | None = None


@dataclass
class Inputs:
    """Where a graph gets its conditioning and its latent from."""

    positive: Link = field(default_factory=lambda: [POSITIVE, 0])
    negative: Link = field(default_factory=lambda: [NEGATIVE, 0])
    latent: Link = field(default_factory=lambda: [LATENT, 0])


@dataclass(frozen=True)
class Family:
    """One model as the host loads it; `shape` of its latent is (channels, frames, height, width)."""

    name: str
    loader: JSON
    shape: tuple[int, int, int, int]
    # Calls of self-attention and cross-attention on video tokens in one evaluation.
    self_attention: int
    cross_attention: int
    patch: tuple[int, int, int] = (1, 2, 2)
    # None: the family's own text encoder reads the prompt.
    text: Text | None = Text()
    # Video pixels per latent: (time, space).
    scale: tuple[int, int] = (4, 8)
    # Adds what gives the first frame; None for text to video.
    given: Callable[[Family, JSON, Inputs, JSON], Inputs] | None = None
    # x_t = (1 - t) x0 + t noise, the paths that a leap assumes.
    flow: bool = True
    # The second expert, which finishes what the first began.
    low: JSON | None = None
    # Text tokens share the sequence of self-attention: "", "first" or "last".
    joint_text: str = ""
    # 1 is no guidance: one row per video.
    cfg: float = 3.0

    def grid(self, frames: int | None = None) -> tuple[int, int, int]:
        """(frames, height, width) in tokens."""
        _, standard, height, width = self.shape
        sizes = (frames or standard, height, width)
        return tuple(math.ceil(size / patch) for size, patch in zip(sizes, self.patch, strict=True))  # type: ignore[return-value]

    def pixels(self, frames: int, batch_size: int) -> JSON:
        """The size in pixels, as the host's own nodes ask for it."""
        _, _, height, width = self.shape
        time, space = self.scale
        length = (frames - 1) * time + 1
        return {"width": width * space, "height": height * space, "length": length, "batch_size": batch_size}


def sample_graph(
    family: Family,
    prefix: str = "",
    *,
    model: Sequence[JSON] = (),
    sampler: Sequence[JSON] = (),
    sigmas: Sequence[JSON] = (),
    sampler_name: str = "euler",
    scheduler: str = "simple",
    prompt: str = "a red circle moves left",
    seed: int = 1,
    steps: int = 3,
    cfg: float | None = None,
    frames: int | None = None,
    batch_size: int = 1,
    output: int = 0,
) -> JSON:
    """Noise to latent with SamplerCustomAdvanced, ending in Save Latent, which is bit exact.

    `model`, `sampler` and `sigmas` are nodes (of `graphs.node`) put one behind the other between where that
    object comes from and where it is used; an absent node is what ComfyUI makes of a bypassed one. With two
    experts every `model` node is put behind both loaders. `output` 1 saves the last denoised prediction.
    """
    frames = frames or family.shape[1]
    cfg = family.cfg if cfg is None else cfg
    size = family.pixels(frames, batch_size)
    graph: JSON = {LOADER: family.loader, NOISE: node("RandomNoise", noise_seed=seed)}
    inputs = _inputs(family, graph, prompt, frames, size)
    high = _chain(graph, "model", [LOADER, 0], model, 100)
    schedule = node("BasicScheduler", model=high, scheduler=scheduler, steps=steps, denoise=1.0)
    graph |= {
        GUIDER: _guider(high, inputs, cfg),
        SAMPLER: node("KSamplerSelect", sampler_name=sampler_name),
        SIGMAS: schedule,
    }
    drawn = {
        "sampler": _chain(graph, "sampler", [SAMPLER, 0], sampler, 200),
        "sigmas": _chain(graph, "sigmas", [SIGMAS, 0], sigmas, 300),
    }
    graph[SAMPLED] = node(
        "SamplerCustomAdvanced", noise=[NOISE, 0], guider=[GUIDER, 0], latent_image=inputs.latent, **drawn
    )
    last = SAMPLED
    if family.low is not None:
        _second_expert(graph, family.low, model, inputs, drawn, steps, cfg)
        last = LOW_SAMPLED
    return graph | save_latent(prefix or f"latents/{family.name}", (last, output))


def _inputs(family: Family, graph: JSON, prompt: str, frames: int, size: JSON) -> Inputs:
    for key, text in ((POSITIVE, prompt), (NEGATIVE, "")):
        graph[key] = _conditioning(family, text)
    if family.text is None:
        graph[LATENT] = node("PocketVideoEmptyLatent", **size)
    else:
        channels, _, height, width = family.shape
        sizes = {"channels": channels, "frames": frames, "height": height, "width": width}
        graph[LATENT] = node("FamilyLatent", batch_size=size["batch_size"], **sizes)
    inputs = Inputs()
    return inputs if family.given is None else family.given(family, graph, inputs, size)


def _conditioning(family: Family, text: str) -> JSON:
    if family.text is None:
        return node("CLIPTextEncode", clip=[LOADER, 1], text=text)
    return node(
        "FamilyConditioning",
        text=text,
        tokens=family.text.tokens,
        dim=family.text.dim,
        pooled_dim=family.text.pooled,
        masked_tokens=-1 if family.text.masked is None else family.text.masked,
    )


def _guider(model: Link, inputs: Inputs, cfg: float) -> JSON:
    return node("CFGGuider", model=model, positive=inputs.positive, negative=inputs.negative, cfg=cfg)


def _chain(graph: JSON, name: str, start: Link, nodes: Sequence[JSON], number: int) -> Link:
    """Put `nodes` one behind the other behind `start`, which is an input of this name; the last link."""
    link = start
    for key, added in enumerate(nodes, number):
        graph[str(key)] = {**added, "inputs": {name: link, **added["inputs"]}}
        link = [str(key), 0]
    return link


def _second_expert(
    graph: JSON,
    loader: JSON,
    model: Sequence[JSON],
    inputs: Inputs,
    drawn: dict[str, Link],
    steps: int,
    cfg: float,
) -> None:
    """Wan 2.2's way: one expert for the first steps, the other from there without new noise."""
    graph[LOW_LOADER] = loader
    graph[LOW_GUIDER] = _guider(_chain(graph, "model", [LOW_LOADER, 0], model, 400), inputs, cfg)
    graph[SPLIT] = node("SplitSigmas", sigmas=drawn["sigmas"], step=steps // 2)
    graph[SAMPLED]["inputs"]["sigmas"] = [SPLIT, 0]
    graph["45"] = node("DisableNoise")
    graph[LOW_SAMPLED] = node(
        "SamplerCustomAdvanced",
        noise=["45", 0],
        guider=[LOW_GUIDER, 0],
        sampler=drawn["sampler"],
        sigmas=[SPLIT, 1],
        latent_image=[SAMPLED, 0],
    )


def _picture(graph: JSON, size: JSON) -> Link:
    graph[IMAGE] = node(
        "EmptyImage", width=size["width"], height=size["height"], batch_size=1, color=0x3366CC
    )
    return [IMAGE, 0]


def _wan_first_frame(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    """Four mask channels and the encoded picture, concatenated to the noise."""
    graph[VAE] = node("VAELoader", vae_name="wan21.safetensors")
    graph[GIVEN] = node(
        "WanImageToVideo",
        positive=inputs.positive,
        negative=inputs.negative,
        vae=[VAE, 0],
        start_image=_picture(graph, size),
        **size,
    )
    return Inputs([GIVEN, 0], [GIVEN, 1], [GIVEN, 2])


def _wan_first_frame_and_vision(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    """The same with features of the picture, which Wan 2.1 attends to beside the text."""
    given = _wan_first_frame(family, graph, inputs, size)
    graph[VISION] = node("FamilyVisionFeatures")
    graph[GIVEN]["inputs"]["clip_vision_output"] = [VISION, 0]
    return given


def _ltxv_first_frame(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    """The encoded picture in the latent, and a noise mask."""
    graph[VAE] = node("VAELoader", vae_name="ltxv.safetensors")
    graph[GIVEN] = node(
        "LTXVImgToVideo",
        positive=inputs.positive,
        negative=inputs.negative,
        vae=[VAE, 0],
        image=_picture(graph, size),
        strength=1.0,
        **size,
    )
    return Inputs([GIVEN, 0], [GIVEN, 1], [GIVEN, 2])


def _ltxv_guide(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    """The encoded picture as tokens appended to the video's."""
    graph[VAE] = node("VAELoader", vae_name="ltxv.safetensors")
    graph[GIVEN] = node(
        "LTXVAddGuide",
        positive=inputs.positive,
        negative=inputs.negative,
        vae=[VAE, 0],
        latent=inputs.latent,
        image=_picture(graph, size),
        frame_idx=0,
        strength=1.0,
    )
    return Inputs([GIVEN, 0], [GIVEN, 1], [GIVEN, 2])


def _hunyuan_first_frame(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    """Token replacement. Wan's VAE stands in for HunyuanVideo's: both make 16 channels at the same scale."""
    graph[VAE] = node("VAELoader", vae_name="wan21.safetensors")
    graph[GIVEN] = node(
        "HunyuanImageToVideo",
        positive=inputs.positive,
        vae=[VAE, 0],
        start_image=_picture(graph, size),
        guidance_type="v2 (replace)",
        **size,
    )
    return Inputs([GIVEN, 0], inputs.negative, [GIVEN, 1])


def _masked_first_frame(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    graph[GIVEN] = node("FamilyGivenFrames", latent=inputs.latent, count=1)
    return Inputs(latent=[GIVEN, 0])


def _pocket_first_frame(family: Family, graph: JSON, inputs: Inputs, size: JSON) -> Inputs:
    graph[GIVEN] = node(
        "PocketVideoImageToVideo",
        positive=inputs.positive,
        negative=inputs.negative,
        vae=[LOADER, 2],
        image=_picture(graph, size),
        motion=2.0,
        **size,
    )
    return Inputs([GIVEN, 0], [GIVEN, 1], [GIVEN, 2])


def _file(name: str, weight_dtype: str = "default") -> JSON:
    return node("UNETLoader", unet_name=f"{name}.safetensors", weight_dtype=weight_dtype)


def _tiny(family: str) -> JSON:
    return node("FamilyTinyModel", family=family)


_POCKET = node("PocketVideoModelLoader", model_name=MODEL)
_WAN_SHAPE = (16, 5, 8, 8)
_LTXV_SHAPE = (128, 5, 4, 4)
_LTXV: JSON = {"patch": (1, 1, 1), "scale": (8, 32), "text": Text(masked=2)}
# Guidance is distilled into HunyuanVideo, and the host cannot run two rows of it with a mask: 1 row's mask is
# written to `[1, 1, L]` (hunyuan_video/model.py, forward_orig).
_HUNYUAN: JSON = {"joint_text": "first", "cfg": 1.0}

_ALL = (
    Family("pocket", _POCKET, (24, 5, 2, 2), 8, 8, (1, 1, 1), None, (4, 32)),
    Family("pocket_i2v", _POCKET, (24, 5, 2, 2), 8, 8, (1, 1, 1), None, (4, 32), _pocket_first_frame),
    Family("wan21", _file("wan21_t2v"), _WAN_SHAPE, 2, 2),
    # As many text tokens as video tokens: lengths alone do not tell self- from cross-attention.
    Family("wan21_equal_lengths", _file("wan21_t2v"), _WAN_SHAPE, 2, 2, text=Text(tokens=5 * 4 * 4)),
    # Sizes as ComfyUI detects them, without metadata.
    Family("wan21_detected", _file("wan21_t2v_detected"), _WAN_SHAPE, 2, 2, text=Text(dim=4096)),
    Family("wan21_fp8", _file("wan21_t2v", "fp8_e4m3fn"), _WAN_SHAPE, 2, 2),
    # Each block attends to the text and to the picture's features.
    Family("wan21_i2v", _file("wan21_i2v"), _WAN_SHAPE, 2, 4, given=_wan_first_frame_and_vision),
    Family(
        "wan22_i2v",
        _file("wan22_i2v_high"),
        _WAN_SHAPE,
        2,
        2,
        given=_wan_first_frame,
        low=_file("wan22_i2v_low"),
    ),
    Family("wan22_5b", _file("wan22_5b"), (48, 5, 8, 8), 2, 2, scale=(4, 16)),
    Family("wan22_5b_i2v", _file("wan22_5b"), (48, 5, 8, 8), 2, 2, scale=(4, 16), given=_masked_first_frame),
    Family("ltxv", _file("ltxv"), _LTXV_SHAPE, 2, 2, **_LTXV),
    Family("ltxv_i2v", _file("ltxv"), _LTXV_SHAPE, 2, 2, given=_ltxv_first_frame, **_LTXV),
    Family("ltxv_guide", _file("ltxv"), _LTXV_SHAPE, 2, 2, given=_ltxv_guide, **_LTXV),
    Family("hunyuan", _file("hunyuan_video"), _WAN_SHAPE, 2, 0, text=Text(pooled=768), **_HUNYUAN),
    # What HunyuanVideo's real text encoder supplies: a mask over the joint sequence.
    Family(
        "hunyuan_masked",
        _file("hunyuan_video"),
        _WAN_SHAPE,
        2,
        0,
        text=Text(pooled=768, masked=2),
        **_HUNYUAN,
    ),
    Family(
        "hunyuan_i2v",
        _file("hunyuan_video"),
        _WAN_SHAPE,
        2,
        0,
        text=Text(pooled=768, masked=2),
        given=_hunyuan_first_frame,
        **_HUNYUAN,
    ),
    Family("cogvideox", _file("cogvideox"), _WAN_SHAPE, 2, 0, flow=False, joint_text="first"),
    Family(
        "mochi",
        _tiny("mochi"),
        (12, 5, 8, 8),
        2,
        0,
        text=Text(tokens=256, masked=250),
        scale=(6, 8),
        joint_text="last",
    ),
    Family("cosmos", _tiny("cosmos"), _WAN_SHAPE, 2, 2, scale=(8, 8), flow=False),
    Family("cosmos_predict2", _tiny("cosmos_predict2"), _WAN_SHAPE, 2, 2, flow=False),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
# An image model: a video technique has to refuse it.
IMAGE_MODEL = Family("stable_diffusion", _tiny("stable_diffusion"), (4, 0, 8, 8), 0, 0, flow=False)
WAN_LORA = "wan21.safetensors"


def install(host: ComfyServer) -> None:
    """Put every family's files into the host's models folder, once per server."""
    install_random_model(host)
    if not (host.models / "loras" / WAN_LORA).exists():
        host.client().run({"1": node("FamilyWriteCheckpoints")}).require_success()


def sample(host: ComfyServer, client: ComfyClient, family: Family, **options: Any) -> torch.Tensor:
    """Install what is missing, run `sample_graph` and return the latent bit for bit."""
    latent, _ = sample_and_run(host, client, family, **options)
    return latent


def sample_and_run(
    host: ComfyServer, client: ComfyClient, family: Family, **options: Any
) -> tuple[torch.Tensor, RunResult]:
    """The latent, and the run with its events for who wants to see what nodes said."""
    install(host)
    run = client.run(sample_graph(family, **options)).require_success()
    return read_latent(host, run), run
