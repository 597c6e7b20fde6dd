"""What an acceleration kept of a clip and what it cost, in numbers, in a sentence and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from . import metrics


@dataclass(frozen=True)
class Comparison:
    """Measures of two clips; `*_frames` hold one number per frame, or per step between frames.

    Motion and flicker are pairs: of the base, and of the accelerated clip.
    """

    frames: int
    width: int
    height: int
    psnr: float
    psnr_frames: list[float]
    ssim: float
    ssim_frames: list[float]
    motion: tuple[float, float]
    motion_frames: tuple[list[float], list[float]]
    flicker: tuple[float, float]
    flicker_frames: tuple[list[float], list[float]]

    @property
    def motion_ratio(self) -> float:
        """1 when all motion is kept; nan and inf as `metrics.motion_ratio` says."""
        return metrics.ratio(*self.motion)

    @property
    def flicker_ratio(self) -> float:
        """Above 1 when the accelerated clip flickers more."""
        return metrics.ratio(*self.flicker)

    @property
    def equal(self) -> bool:
        """Whether every pixel is the same."""
        return self.psnr == math.inf

    def summary(self) -> str:
        """One line, as in "PSNR 34.2 dB, SSIM 0.970, motion 99%, flicker 101%"."""
        if self.equal:
            return "Equal in every pixel of every frame"
        if math.isnan(self.psnr):
            return "Not comparable: a clip holds pixels that are no numbers (nan)"
        words = [f"PSNR {self.psnr:.1f} dB"]
        if math.isnan(self.ssim):
            words.append(f"no SSIM below {metrics.WINDOW} pixels")
        else:
            words.append(f"SSIM {self.ssim:.3f}")
        if self.frames > 1:
            words.append(_share("motion", *self.motion))
        if self.frames > 2:
            words.append(_share("flicker", *self.flicker))
        return ", ".join(words)

    def as_json(self) -> str:
        """Strict JSON: "inf" stands for the PSNR of equal pictures, null for what there is no number for."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """The numbers by measure, rounded to what they mean."""
        return {
            "frames": self.frames,
            "width": self.width,
            "height": self.height,
            "equal": self.equal,
            "summary": self.summary(),
            "psnr_db": _quality(self.psnr, self.psnr_frames),
            "ssim": _quality(self.ssim, self.ssim_frames),
            "motion": _change(self.motion, self.motion_frames),
            "flicker": _change(self.flicker, self.flicker_frames),
        }


def compare(base: Tensor, accelerated: Tensor) -> Comparison:
    """Measure two clips `[T, H, W, C]` in 0..1; of more than three channels the colours are compared.

    Values beyond 0..1 count as 0 and 1, which is what a saved video holds. Raises metrics.ClipMismatch.
    """
    metrics.check_comparable(base, accelerated)
    base, accelerated = colours(base), colours(accelerated).to(base.device)
    psnr_frames = metrics.psnr_per_frame(base, accelerated)
    ssim_frames = metrics.ssim_per_frame(base, accelerated)
    motion = [metrics.motion_per_frame(clip) for clip in (base, accelerated)]
    flicker = [metrics.flicker_per_frame(clip) for clip in (base, accelerated)]
    return Comparison(
        frames=base.shape[0],
        width=base.shape[2],
        height=base.shape[1],
        psnr=metrics.psnr(base, accelerated),
        psnr_frames=psnr_frames.tolist(),
        ssim=float(ssim_frames.mean()),
        ssim_frames=ssim_frames.tolist(),
        motion=(float(motion[0].mean()), float(motion[1].mean())),
        motion_frames=(motion[0].tolist(), motion[1].tolist()),
        flicker=(float(flicker[0].mean()), float(flicker[1].mean())),
        flicker_frames=(flicker[0].tolist(), flicker[1].tolist()),
    )


def colours(clip: Tensor) -> Tensor:
    """The clip as it is seen: its first three channels, within 0..1."""
    return clip[..., :3].clamp(0, 1)


def _share(name: str, base: float, accelerated: float) -> str:
    share = metrics.ratio(base, accelerated)
    if math.isnan(share):
        return f"no {name} in either"
    if math.isinf(share):
        return f"{name} where the base has none"
    return f"{name} {share:.0%}" if share < 10 else f"{name} {share:.0f} times"


def _quality(clip: float, frames: list[float]) -> dict[str, Any]:
    worst = min(range(len(frames)), key=lambda frame: frames[frame])
    measured = not math.isnan(clip)
    return {
        "clip": _rounded(clip),
        "worst": _rounded(frames[worst]) if measured else None,
        "worst_frame": worst if measured else None,
        "frames": [_rounded(value) for value in frames],
    }


def _change(clips: tuple[float, float], frames: tuple[list[float], list[float]]) -> dict[str, Any]:
    base, accelerated = clips
    return {
        "base": _rounded(base),
        "accelerated": _rounded(accelerated),
        "ratio": _rounded(metrics.ratio(base, accelerated)),
        "base_frames": [_rounded(value) for value in frames[0]],
        "accelerated_frames": [_rounded(value) for value in frames[1]],
    }


def _rounded(value: float) -> float | str | None:
    return metrics.json_number(round(value, 6) if math.isfinite(value) else value)
