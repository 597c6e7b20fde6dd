"""The detector is right on the data itself, and finds nothing where nothing is."""

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.eval.adherence import adherence, detect
from comfyui_pocketvideo.pocketvideo.training.data.shapes import ClipSpec, held_out_prompts, render


@pytest.fixture(scope="module")
def clips() -> tuple[list[torch.Tensor], list[ClipSpec]]:
    specs = held_out_prompts(28)
    return [((render([spec])[0] + 1) / 2).permute(1, 2, 3, 0) for spec in specs], specs


def test_everything_is_found_in_rendered_clips(clips) -> None:  # type: ignore[no-untyped-def]
    videos, specs = clips
    assert adherence(videos, specs) == {"colour": 1.0, "shape": 1.0, "motion": 1.0, "all": 1.0}


def test_blur_and_noise_are_no_excuse(clips) -> None:  # type: ignore[no-untyped-def]
    videos, specs = clips
    noise = torch.Generator().manual_seed(0)
    worse = []
    for video in videos:
        soft = torch.nn.functional.avg_pool2d(video.permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1)
        worse.append(soft + 0.02 * torch.randn(soft.shape, generator=noise))
    found = adherence(worse, specs)
    assert min(found.values()) >= 0.9


def test_a_still_clip_has_no_motion(clips) -> None:  # type: ignore[no-untyped-def]
    videos, specs = clips
    still = [video[:1].expand(17, -1, -1, -1) for video in videos]
    assert adherence(still, specs)["motion"] == 0
    assert adherence(still, specs)["colour"] == 1


def test_a_clip_played_backwards_is_not_what_was_asked(clips) -> None:  # type: ignore[no-untyped-def]
    videos, specs = clips
    turned = [(v.flip(0), s) for v, s in zip(videos, specs, strict=True) if s.motion != "spin"]
    assert adherence([v for v, _ in turned], [s for _, s in turned])["motion"] == 0


def test_wrong_prompts_are_not_found(clips) -> None:  # type: ignore[no-untyped-def]
    videos, specs = clips
    rolled = specs[1:] + specs[:1]
    assert adherence(videos, rolled)["colour"] < 0.3


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_an_empty_clip_shows_nothing(value: float) -> None:
    found = detect(torch.full((17, 64, 64, 3), value))
    assert (found.colour, found.shape, found.motion) == (None, None, None)


def test_noise_shows_nothing_convincing() -> None:
    found = detect(torch.rand(17, 64, 64, 3, generator=torch.Generator().manual_seed(0)))
    assert found.motion is None
