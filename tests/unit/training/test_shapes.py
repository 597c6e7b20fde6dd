"""The procedural data set: the same everywhere, honest about what it holds out."""

import torch
from comfyui_pocketvideo.pocketvideo.training.data.shapes import (
    COLOURS,
    MOTION_SCORE_RANGE,
    MOTIONS,
    all_triples,
    held_out_prompts,
    held_out_triples,
    render,
    training_spec,
)


def test_a_clip_depends_on_its_seed_and_index_alone() -> None:
    assert training_spec(7, 41) == training_spec(7, 41)
    assert training_spec(7, 41) != training_spec(7, 42) != training_spec(8, 42)


def test_held_out_triples_never_occur_in_training() -> None:
    held_out = set(held_out_triples())
    assert len(held_out) == 64
    seen = {(s.colour, s.shape, s.motion) for s in (training_spec(7, i) for i in range(6000))}
    assert not seen & held_out
    assert seen | held_out == set(all_triples())


def test_held_out_prompts_cover_every_colour_and_motion() -> None:
    specs = held_out_prompts()
    assert {spec.colour for spec in specs} == set(COLOURS)
    assert {spec.motion for spec in specs} == set(MOTIONS)
    assert len({(s.colour, s.shape, s.motion) for s in specs}) == 64


def test_captions_say_what_is_drawn() -> None:
    for i in range(200):
        spec = training_spec(1, i)
        assert spec.colour in spec.caption and spec.shape in spec.caption
        assert any(phrase in spec.caption for phrase in MOTIONS[spec.motion])
        assert MOTION_SCORE_RANGE[0] <= spec.motion_score <= MOTION_SCORE_RANGE[1]
        assert "a orange" not in spec.caption


def test_rendering_is_in_range_and_moves_as_asked() -> None:
    spec = next(s for s in (training_spec(0, i) for i in range(200)) if s.motion == "right")
    video = render([spec], frames=9, height=48, width=64)
    assert video.shape == (1, 3, 9, 48, 64)
    assert video.min() >= -1 and video.max() <= 1
    difference = (video - video[:, :, :, :1, :1]).abs().amax((0, 1))
    columns = torch.arange(64.0)
    centre = (difference.sum(1) * columns).sum(1) / difference.sum((1, 2))
    assert centre[-1] > centre[0] + 5
