"""The metrics agree with scikit-image, and with what is plain in clips made by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.pocketvideo.eval import metrics
from comfyui_pocketvideo.pocketvideo.eval.metrics import ClipMismatch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor


def noisy(clip: Tensor, amount: float, seed: int = 0) -> Tensor:
    noise = torch.randn(clip.shape, generator=torch.Generator().manual_seed(seed))
    return (clip + amount * noise).clamp(0, 1)


def moving_square(frames: int = 9, step: int = 3, side: int = 12, size: int = 48) -> Tensor:
    """A bright square that goes right over a dark ground."""
    clip = torch.full((frames, size, size, 3), 0.1)
    for t in range(frames):
        clip[t, 10 : 10 + side, 4 + step * t : 4 + step * t + side] = 0.9
    return clip


@pytest.fixture(params=[(5, 40, 33, 3), (2, 11, 64, 3), (1, 64, 48, 1)], ids=str)
def clips(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    base = torch.rand(request.param, generator=torch.Generator().manual_seed(3))
    return base, noisy(base * 0.8, 0.1)


def test_psnr_and_ssim_are_those_of_scikit_image(clips: tuple[Tensor, Tensor]) -> None:
    base, other = clips
    pairs = [(a.numpy(), b.numpy()) for a, b in zip(base, other, strict=True)]
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "channel_axis": -1,
        "data_range": 1,
    }
    signal = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]
    structure = [structural_similarity(a, b, **options) for a, b in pairs]

    assert np.allclose(metrics.psnr_per_frame(base, other).numpy(), signal, atol=1e-4)
    assert np.allclose(metrics.ssim_per_frame(base, other).numpy(), structure, atol=1e-5)
    assert metrics.ssim(base, other) == pytest.approx(np.mean(structure), abs=1e-5)
    whole = peak_signal_noise_ratio(base.numpy(), other.numpy(), data_range=1)
    assert metrics.psnr(base, other) == pytest.approx(whole, abs=1e-4)


def test_equal_clips_are_infinitely_close() -> None:
    clip = moving_square()
    assert metrics.psnr(clip, clip.clone()) == math.inf
    assert metrics.psnr_per_frame(clip, clip.clone()).isinf().all()
    assert metrics.ssim(clip, clip.clone()) == pytest.approx(1)
    assert metrics.motion_ratio(clip, clip.clone()) == 1


def test_one_equal_frame_does_not_make_the_clip_infinite() -> None:
    clip = moving_square()
    other = noisy(clip, 0.05)
    other[0] = clip[0]
    assert metrics.psnr_per_frame(clip, other)[0] == math.inf
    assert metrics.psnr(clip, other) == pytest.approx(26, abs=2)


def test_motion_counts_the_pixels_that_change() -> None:
    # Each step uncovers and covers 3 columns of 12 pixels, each by 0.8.
    expected = 2 * 3 * 12 * 0.8 / 48**2
    assert metrics.motion(moving_square()) == pytest.approx(expected, rel=1e-5)


def test_a_frozen_clip_keeps_no_motion_and_a_slower_one_half() -> None:
    clip = moving_square(step=2)
    frozen = clip[:1].expand(9, -1, -1, -1)
    assert metrics.motion_ratio(clip, frozen) == 0
    assert metrics.motion_ratio(clip, moving_square(step=1)) == pytest.approx(0.5)
    assert metrics.motion_ratio(frozen, clip) == math.inf
    assert math.isnan(metrics.motion_ratio(frozen, frozen))


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_passing_edge_is_motion_and_no_flicker(step: int) -> None:
    clip = moving_square(frames=7, step=step)
    assert metrics.motion(clip) > 0
    assert metrics.flicker(clip) == 0


def test_flicker_is_what_goes_back() -> None:
    clip = moving_square()
    flashing = clip.clone()
    flashing[4] += 0.05
    # One frame of the seven that have neighbours on both sides.
    assert metrics.flicker(flashing) == pytest.approx(0.05 / 7, rel=0.05)
    trembling = noisy(clip, 0.02)
    assert metrics.flicker_ratio(trembling, noisy(clip, 0.04)) == pytest.approx(2, rel=0.15)
    assert metrics.flicker_ratio(clip, trembling) == math.inf
    assert metrics.motion_ratio(clip, flashing) > 1


def test_a_fade_is_no_flicker() -> None:
    fade = torch.linspace(0, 1, 9)[:, None, None, None].expand(9, 16, 16, 3)
    assert metrics.flicker(fade) == 0


def test_what_is_too_short_or_too_small_is_no_number() -> None:
    one = torch.rand(1, 16, 16, 3)
    assert metrics.psnr(one, 1 - one) > 0
    assert math.isnan(metrics.motion(one))
    assert math.isnan(metrics.motion_ratio(one, one))
    assert math.isnan(metrics.flicker(one.expand(2, -1, -1, -1)))
    small = torch.rand(2, 10, 64, 3)
    assert math.isnan(metrics.ssim(small, small))
    assert metrics.psnr(small, small) == math.inf


def test_clips_that_do_not_fit_are_named() -> None:
    clip = torch.rand(9, 16, 24, 3)
    measures = (metrics.psnr, metrics.ssim, metrics.motion_ratio, metrics.flicker_ratio)
    for measure in measures:
        with pytest.raises(ClipMismatch, match=r"9 frames and the accelerated one 5: .* cut the longer one"):
            measure(clip, clip[:5])
        with pytest.raises(ClipMismatch, match=r"24 x 16 pixels .* the accelerated one 20 x 16 pixels"):
            measure(clip, clip[:, :, :20])
        with pytest.raises(ClipMismatch, match=r"accelerated clip is no .* \(16, 24, 3\)"):
            measure(clip, clip[0])
        with pytest.raises(ClipMismatch, match="give the frames of one video"):
            measure(clip[:0], clip)


def test_half_precision_is_measured_in_full() -> None:
    clip = moving_square()
    assert metrics.psnr(clip.half(), clip.half()) == math.inf
    assert metrics.motion(clip.half()) == pytest.approx(metrics.motion(clip), rel=1e-3)
    assert metrics.psnr(clip.half(), noisy(clip, 0.1).half()) == pytest.approx(20, abs=2)


def test_json_holds_every_number() -> None:
    numbers = [metrics.json_number(value) for value in (1.5, math.inf, math.nan)]
    assert numbers == [1.5, "inf", None]
    json.dumps(numbers, allow_nan=False)
