"""How far is one clip from another? PSNR, SSIM, motion and flicker in torch alone.

Clips are `[T, H, W, C]` in 0..1, as ComfyUI's IMAGE. Two rules hold for every function:

- Clips that do not fit each other raise ClipMismatch, with a sentence that names both.
- What a clip is too short, too small or too still for is nan, and PSNR between equal pictures is inf.
  `json_number` writes both so that strict JSON can hold them.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

# Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", section III-B.
WINDOW, SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
_PART_VALUES = 2**22


class ClipMismatch(ValueError):
    """Two clips that cannot be compared frame by frame."""


def check_comparable(base: Tensor, accelerated: Tensor) -> None:
    """Raise ClipMismatch unless both are `[T, H, W, C]` of one length and size, with a frame at least."""
    for name, clip in (("base", base), ("accelerated", accelerated)):
        if clip.ndim != 4 or 0 in clip.shape:
            raise ClipMismatch(
                f"The {name} clip is no [frames, height, width, channels] but {tuple(clip.shape)}: "
                "give the frames of one video."
            )
    if len(base) != len(accelerated):
        raise ClipMismatch(
            f"The base clip has {len(base)} frames and the accelerated one {len(accelerated)}: frames are "
            "compared one by one, so make both with the same length and batch size, or cut the longer one."
        )
    if base.shape != accelerated.shape:
        raise ClipMismatch(
            f"The base clip is {_size(base)} and the accelerated one {_size(accelerated)}: make both at the "
            "same width and height, or resize one."
        )


def psnr_per_frame(base: Tensor, accelerated: Tensor) -> Tensor:
    """Peak signal-to-noise ratio `[T]` in dB of every frame for a peak of 1; inf where frames are equal."""
    return -10 * torch.log10(_squared_errors(base, accelerated))


def psnr(base: Tensor, accelerated: Tensor) -> float:
    """Peak signal-to-noise ratio in dB from the mean squared error of the whole clip; inf for equal clips.

    It is not the mean over frames: one equal frame would make that infinite.
    """
    error = float(_squared_errors(base, accelerated).mean())
    return -10 * math.log10(error) if error else math.inf


def ssim_per_frame(base: Tensor, accelerated: Tensor) -> Tensor:
    """Structural similarity `[T]` of every frame (Wang et al. 2004), from -1 to 1 for equal frames.

    Gaussian window of 11 x 11 pixels with sigma 1.5, only where it lies inside the picture, the mean over
    positions and channels. Frames with a side below 11 pixels hold no window: nan.
    """
    check_comparable(base, accelerated)
    if min(base.shape[1:3]) < WINDOW:
        return torch.full((len(base),), math.nan)
    # In parts: five filtered copies of a long clip would not fit into memory.
    part = max(1, _PART_VALUES // base[0].numel())
    pairs = zip(base.split(part), accelerated.split(part), strict=True)
    return torch.cat([_ssim(a, b) for a, b in pairs])


def ssim(base: Tensor, accelerated: Tensor) -> float:
    """Structural similarity of a clip: the mean over its frames; nan below 11 pixels."""
    return float(ssim_per_frame(base, accelerated).mean())


def motion_per_frame(clip: Tensor) -> Tensor:
    """Mean absolute change `[T - 1]` from each frame to the next, in 0..1.

    VBench (Huang et al. 2024) calls 1 minus its mean "temporal flickering" and measures it on still scenes;
    where the scene moves it tells how much.
    """
    steps = [(b.float() - a.float()).abs().mean() for a, b in itertools.pairwise(clip)]
    return torch.stack(steps).cpu() if steps else torch.empty(0)


def motion(clip: Tensor) -> float:
    """How much a clip moves: the mean of `motion_per_frame`; nan for one frame."""
    return float(motion_per_frame(clip).mean())


def motion_ratio(base: Tensor, accelerated: Tensor) -> float:
    """Motion that is left: accelerated over base. 1 is all of it, 0 a frozen clip.

    nan when both stand still or have one frame, inf when only the base stands still.
    """
    check_comparable(base, accelerated)
    return ratio(motion(base), motion(accelerated))


def flicker_per_frame(clip: Tensor) -> Tensor:
    """What flashes and goes back `[T - 2]`: mean |f[t] - median(f[t-1], f[t], f[t+1])| per pixel, in 0..1.

    The residual of Tukey's running median of three (Exploratory Data Analysis, 1977). A frame difference
    cannot tell flicker from motion, and neither can a second difference, which every moving edge raises. A
    pixel that an edge passes goes from one value to another and stays there, so its median of three is its
    own value; only a value that returns within two frames counts. What is thinner than its own step from
    frame to frame returns as well, and counts.
    """
    flashes = []
    for before, now, after in zip(clip[:-2], clip[1:-1], clip[2:], strict=True):
        low, high = torch.minimum(before, after), torch.maximum(before, after)
        flashes.append((now - torch.minimum(torch.maximum(now, low), high)).float().abs().mean())
    return torch.stack(flashes).cpu() if flashes else torch.empty(0)


def flicker(clip: Tensor) -> float:
    """How much a clip flickers: the mean of `flicker_per_frame`; nan below three frames."""
    return float(flicker_per_frame(clip).mean())


def flicker_ratio(base: Tensor, accelerated: Tensor) -> float:
    """Flicker of the accelerated clip over the base's: above 1 it flickers more. nan and inf as in motion."""
    check_comparable(base, accelerated)
    return ratio(flicker(base), flicker(accelerated))


def ratio(base: float, accelerated: float) -> float:
    """accelerated / base with 0 / 0 = nan and x / 0 = inf."""
    if base:
        return accelerated / base
    return math.inf if accelerated > 0 else math.nan


def json_number(value: float) -> float | str | None:
    """A number for strict JSON, which knows neither inf nor nan: "inf" for equal clips, null for nothing."""
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else value


def _squared_errors(base: Tensor, accelerated: Tensor) -> Tensor:
    """Mean squared error `[T]` of every frame."""
    check_comparable(base, accelerated)
    frames = zip(base, accelerated, strict=True)
    return torch.stack([(a.float() - b.to(a.device).float()).square().mean() for a, b in frames]).cpu()


def _ssim(base: Tensor, accelerated: Tensor) -> Tensor:
    """SSIM `[T]` of frames `[T, H, W, C]`, channels apart."""
    a = base.float().movedim(-1, 1)
    b = accelerated.to(a).movedim(-1, 1)
    mean_a, mean_b, square_a, square_b, product = _blur(torch.stack((a, b, a * a, b * b, a * b)))
    variance_a, variance_b = square_a - mean_a * mean_a, square_b - mean_b * mean_b
    covariance = product - mean_a * mean_b
    c1, c2 = _K1**2, _K2**2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2)
    return (above / below).mean((1, 2, 3)).cpu()


def _blur(planes: Tensor) -> Tensor:
    """The Gaussian window over the last two axes, only where it fits."""
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    flat = planes.reshape(-1, 1, *planes.shape[-2:])
    blurred = conv2d(conv2d(flat, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
    return blurred.view(*planes.shape[:-2], *blurred.shape[-2:])


def _size(clip: Tensor) -> str:
    return f"{clip.shape[2]} x {clip.shape[1]} pixels with {clip.shape[3]} channels"
