"""Where each of ComfyUI's video networks keeps the video's tokens, and which of its frames are given.

One function per family reads it off what `apply_model` is called with. Every sequence length is computed
from there, so that no attention call is ever matched by luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...pocketvideo.acceleration.merged_attention import VideoSequence
from ...pocketvideo.acceleration.merging import TokenGrid, pair_frames

SUPPORTED = (
    "Wan 2.1 and 2.2, LTX-Video, HunyuanVideo, CogVideoX, Mochi, Cosmos 1, Cosmos-Predict2, PocketVideo"
)


@dataclass(frozen=True)
class ModelCall:
    """What the network is called with: the noisy latent `[B, C, F, H, W]`, and everything that goes with it.

    `denoise_mask` `[B, C, F, H, W]` is the sampler's, of the same frames as `latent`.
    """

    network: Any
    latent: Tensor
    concat: Tensor | None
    context: Tensor | None
    inputs: Mapping[str, Any]
    denoise_mask: Tensor | None

    @property
    def context_length(self) -> int:
        return 0 if self.context is None else self.context.shape[1]

    def size(self, name: str, *dims: int) -> int:
        """Product of some dimensions of an input, 0 where there is none."""
        value = self.inputs.get(name)
        return 0 if value is None else math.prod(value.shape[dim] for dim in dims)


@dataclass(frozen=True)
class _Layout:
    """A `VideoSequence` without its pairs, and the given frames, counted in frames of the latent."""

    grid: TokenGrid
    length: int
    given: frozenset[int]
    exact: bool = True
    front: int = 0
    last: bool = False
    contexts: tuple[int, ...] = ()
    step: int = 1  # frames of the latent per frame of tokens


Reader = Callable[[ModelCall], _Layout]


def reader_of(network: Any) -> Reader | None:
    """The family's reader, or None where the network is unknown or makes single images.

    By exact class: a subclass may order its tokens in another way.
    """
    kind = type(network)
    if kind.__module__.startswith("comfy.ldm.hunyuan_video") and len(network.patch_size) != 3:
        return None  # HunyuanImage: the same class on pictures
    return _READERS.get(f"{kind.__module__}.{kind.__name__}")


def given_frames(mask: Tensor | None) -> frozenset[int]:
    """Frames that the sampler's mask gives, wholly or in part: no cell of them is made from noise alone."""
    if mask is None or mask.ndim != 5:
        return frozenset()
    return _frames(mask.amax(dim=(0, 1, 3, 4)) < 0.999)


def sequence_of(reader: Reader, call: ModelCall, keep_first_frame: bool) -> VideoSequence:
    """Where the video is in this call, with the frame pairs that may merge."""
    layout = reader(call)
    given = {
        frame // layout.step
        for frame in layout.given | given_frames(call.denoise_mask) | given_frames(_own_mask(call))
    }
    return VideoSequence(
        grid=layout.grid,
        pairs=pair_frames(layout.grid.frames, given, keep_first_frame),
        length=layout.length,
        exact=layout.exact,
        front=layout.front,
        last=layout.last,
        contexts=layout.contexts,
    )


def _own_mask(call: ModelCall) -> Tensor | None:
    mask = call.inputs.get("denoise_mask")
    return mask if isinstance(mask, Tensor) and mask.ndim == 5 else None


def _frames(flags: Tensor) -> frozenset[int]:
    return frozenset(frame for frame, given in enumerate(flags.tolist()) if given)


def _grid(latent: Tensor, patch: Iterable[int]) -> TokenGrid:
    return TokenGrid(*(math.ceil(n / p) for n, p in zip(latent.shape[-3:], patch, strict=True)))


def _wan(call: ModelCall) -> _Layout:
    network, patch = call.network, tuple(call.network.patch_size)
    grid = _grid(call.latent, patch)
    # A picture of reference in front, frames and in-context pictures behind.
    front = 0
    if getattr(network, "ref_conv", None) is not None and type(network).__name__ == "WanModel":
        front = math.ceil(call.size("reference_latent", -2) / patch[1])
        front *= math.ceil(call.size("reference_latent", -1) / patch[2])
    back = 0
    if "time_dim_concat" in call.inputs:
        back += _grid(call.inputs["time_dim_concat"], patch).tokens
    for picture in call.inputs.get("context_latents") or ():
        back += _grid(picture, patch).tokens
    contexts = [call.context_length]
    if type(network.blocks[0].cross_attn).__name__ == "WanI2VCrossAttention":
        # One more for the picture's features; without them, both read the whole context.
        contexts.insert(0, call.size("clip_fea", -2) or call.context_length)
    given = _wan_given(call)
    return _Layout(grid, front + grid.tokens + back, given, front=front, contexts=tuple(contexts))


def _wan_given(call: ModelCall) -> frozenset[int]:
    vace = call.inputs.get("vace_context")
    if vace is not None:
        # [B, controls, 32 latent + 64 mask channels, F, H, W]: a mask of zeros says that a frame is given.
        return _frames(vace[:, :, 32:].amax(dim=(0, 1, 2, 4, 5)) <= 0)
    channels = call.latent.shape[1]
    extra = 0 if call.concat is None else call.concat.shape[1]
    if call.concat is None or extra not in (channels + 4, 2 * channels + 4):
        return frozenset()
    # Fun-Control 2.2 puts the four mask channels between two latents, all others in front.
    masks = [call.concat[:, begin : begin + 4] for begin in {0, extra - 4 - channels}]
    mask = next((m for m in masks if bool(((m == 0) | (m == 1)).all())), masks[0])
    # Four pictures share a latent frame; one given picture makes it a given frame.
    return _frames(mask.amin(dim=(-2, -1)).amax(dim=(0, 1)) > 0)


def _ltxv(call: ModelCall) -> _Layout:
    grid = _grid(call.latent, (1, 1, 1))
    keyframes = call.inputs.get("keyframe_idxs")
    guides = 0 if keyframes is None else keyframes.shape[2] // grid.area
    video = TokenGrid(grid.frames - guides, grid.height, grid.width)
    length = grid.tokens
    mask = _own_mask(call)
    if guides and mask is not None:
        # Guides of a coarser grid mark the cells between theirs with -1, and the network drops those.
        length = int((mask[0] >= 0).all(dim=0).expand(call.latent.shape[-3:]).sum())
    return _Layout(video, length, frozenset(), contexts=(call.context_length,))


def _hunyuan(call: ModelCall) -> _Layout:
    grid = _grid(call.latent, call.network.patch_size)
    # Text first, then a reference, then the video. The network may lengthen the text, never shorten it.
    given = _concat_given(call)
    if call.inputs.get("guiding_frame_index") is not None:
        given |= {0}
    return _Layout(grid, call.context_length + grid.tokens, given, exact=False, last=True)


def _cogvideox(call: ModelCall) -> _Layout:
    step = call.network.patch_size_t or 1
    grid = _grid(call.latent, (step, call.network.patch_size, call.network.patch_size))
    length = call.context_length + grid.tokens
    return _Layout(grid, length, _concat_given(call), last=True, step=step)


def _mochi(call: ModelCall) -> _Layout:
    patch = call.network.patch_size
    grid = _grid(call.latent, (1, patch, patch))
    words = int(call.inputs.get("num_tokens", 256))
    return _Layout(grid, grid.tokens + min(words, call.context_length), frozenset())


def _cosmos(call: ModelCall) -> _Layout:
    network = call.network
    grid = _grid(call.latent, (network.patch_temporal, network.patch_spatial, network.patch_spatial))
    given = _concat_given(call)
    return _Layout(grid, grid.tokens, given, contexts=(call.context_length,), step=network.patch_temporal)


def _concat_given(call: ModelCall) -> frozenset[int]:
    """Given frames of a model that reads them as further channels: a picture each, with or without a mask."""
    if call.concat is None:
        return frozenset()
    channels, extra = call.latent.shape[1], call.concat.shape[1]
    if extra in (1, channels + 1):
        return _frames(call.concat[:, -1].amin(dim=(-2, -1)).amax(dim=0) > 0)
    if extra == channels:
        given = _frames(call.concat.abs().amax(dim=(0, 1, 3, 4)) > 0)
        # A picture for every frame is a control video: nothing of it is given.
        return given if len(given) < call.concat.shape[2] else frozenset()
    return frozenset()


_READERS: dict[str, Reader] = {
    "comfy.ldm.wan.model.WanModel": _wan,
    "comfy.ldm.wan.model.VaceWanModel": _wan,
    "comfy.ldm.wan.model.CameraWanModel": _wan,
    "comfy.ldm.lightricks.model.LTXVModel": _ltxv,
    "comfy.ldm.hunyuan_video.model.HunyuanVideo": _hunyuan,
    "comfy.ldm.cogvideo.model.CogVideoXTransformer3DModel": _cogvideox,
    "comfy.ldm.genmo.joint_model.asymm_models_joint.AsymmDiTJoint": _mochi,
    "comfy.ldm.cosmos.model.GeneralDIT": _cosmos,
    "comfy.ldm.cosmos.predict2.MiniTrainDIT": _cosmos,
}
