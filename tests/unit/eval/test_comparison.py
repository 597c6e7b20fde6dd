"""A comparison in words, as JSON and as pictures, of clips made by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.pocketvideo.eval.chart import BLUE, ORANGE, Line, Panel, draw_chart, round_ticks
from comfyui_pocketvideo.pocketvideo.eval.comparison import compare
from comfyui_pocketvideo.pocketvideo.eval.comparison_plot import (
    Names,
    amplification,
    comparison_plot,
    comparison_sheet,
    stacked,
)
from comfyui_pocketvideo.pocketvideo.eval.sheet import as_images, contact_sheet, spaced_moments
from PIL import Image
from torch import Tensor

RED, BLACK = (255, 0, 0), (0, 0, 0)


def plain(colour: float = 0.5, frames: int = 5, height: int = 32, width: int = 48) -> Tensor:
    return torch.full((frames, height, width, 3), colour)


def moving(frames: int = 5) -> Tensor:
    clip = plain(0.2, frames)
    for t in range(frames):
        clip[t, 8:16, 4 + 2 * t : 12 + 2 * t] = 0.8
    return clip


def has_colour(picture: Image.Image, colour: tuple[int, int, int], within: int = 8) -> int:
    """How many pixels are that colour."""
    return int((np.abs(np.asarray(picture).astype(int) - colour).max(-1) <= within).sum())


def draw(base: Tensor, other: Tensor, columns: int = 6) -> tuple[Image.Image, Image.Image]:
    measured = compare(base, other)
    return (
        comparison_sheet(base, other, measured, Names(), columns),
        comparison_plot(measured, Names()),
    )


def test_a_shifted_level_is_one_sentence() -> None:
    measured = compare(moving(), moving() + 0.1)
    assert measured.summary() == "PSNR 20.0 dB, SSIM 0.932, motion 100%, no flicker in either"
    assert measured.motion_ratio == pytest.approx(1)


@pytest.mark.parametrize(
    ("base", "other", "words"),
    [
        (moving(), moving(), "Equal in every pixel of every frame"),
        (moving(), moving()[:1].expand(5, -1, -1, -1), "motion 0%"),
        (plain(), moving(), "motion where the base has none"),
        (plain(), plain(0.4), "no motion in either, no flicker in either"),
        (plain(frames=1), plain(0.4, frames=1), "PSNR 20.0 dB, SSIM 0.976"),
        (plain(height=8), plain(0.4, height=8), "no SSIM below 11 pixels"),
        (plain(), plain(math.nan), "pixels that are no numbers"),
    ],
    ids=["equal", "frozen", "still base", "both still", "one frame", "tiny", "nan"],
)
def test_every_kind_of_clip_has_its_words_and_strict_json(base: Tensor, other: Tensor, words: str) -> None:
    measured = compare(base, other)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    told = json.loads(measured.as_json(), parse_constant=refuse)
    assert words in measured.summary()
    assert told["summary"] == measured.summary()
    assert len(told["psnr_db"]["frames"]) == len(base)
    sheet, plot = draw(base, other)
    assert sheet.width > 400
    assert plot.width >= 720


def test_the_report_names_the_worst_frame() -> None:
    other = moving()
    other[3] += 0.1
    told = json.loads(compare(moving(), other).as_json())
    assert told["psnr_db"]["worst"] == pytest.approx(20, abs=0.01)
    assert told["psnr_db"]["worst_frame"] == told["ssim"]["worst_frame"] == 3
    assert told["psnr_db"]["frames"][0] == "inf"
    assert told["flicker"]["base"] == 0
    assert told["flicker"]["ratio"] == "inf"
    assert len(told["motion"]["base_frames"]) == 4
    assert (told["frames"], told["width"], told["height"]) == (5, 48, 32)


def test_only_what_is_seen_counts() -> None:
    clip = moving()
    beyond = torch.where(clip > 0.7, 5.0, clip)
    seen = torch.where(clip > 0.7, 1.0, clip)
    assert compare(beyond, seen).equal
    alpha = torch.cat((clip, torch.rand(5, 32, 48, 1)), dim=-1)
    other_alpha = torch.cat((clip, torch.rand(5, 32, 48, 1)), dim=-1)
    assert compare(alpha, other_alpha).equal


def test_the_difference_row_shows_where_and_how_much() -> None:
    other = plain(0.5, frames=3)
    other[:, 8:24, 16:32, 0] += 0.05
    sheet, _ = draw(plain(0.5, frames=3), other)
    # 0.05 of 255, 16 times as strong, in the red channel alone; the rest of that row is black.
    assert has_colour(sheet, (204, 0, 0), within=12) > 1000
    assert has_colour(sheet, BLACK) > 3 * has_colour(sheet, (204, 0, 0), within=12)
    assert amplification(torch.tensor([0.05] * 1000)) == 16
    assert amplification(torch.tensor([0.9])) == 1
    assert amplification(torch.zeros(5)) == 64


def test_long_clips_show_a_bounded_number_of_frames() -> None:
    short, _ = draw(plain(frames=6), plain(0.4, frames=6))
    long, _ = draw(plain(frames=97), plain(0.4, frames=97))
    assert long.size == short.size
    assert spaced_moments(97, 6)[0] == 0
    assert spaced_moments(97, 6)[-1] == 96
    assert len(spaced_moments(97, 6)) == 6
    assert spaced_moments(1, 6) == [0]
    many, _ = draw(plain(frames=97), plain(0.4, frames=97), columns=1000)
    assert many.width <= 1210


@pytest.mark.parametrize("shape", [(3, 16, 400, 3), (3, 400, 16, 3), (2, 600, 800, 3)], ids=str)
def test_frames_of_any_shape_fit_the_sheet(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    sheet, _ = draw(torch.rand(shape, generator=generator), torch.rand(shape, generator=generator))
    assert sheet.width <= 1210
    assert sheet.height <= 1100


def test_the_plot_draws_both_clips_and_leaves_equal_frames_out() -> None:
    other = moving() * 0.9
    other[0] = moving()[0]
    _, plot = draw(moving(), other)
    assert has_colour(plot, BLUE, within=40) > 100
    assert has_colour(plot, ORANGE, within=40) > 100
    assert compare(moving(), other).psnr_frames[0] == math.inf


def test_a_chart_has_round_numbers() -> None:
    assert round_ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert round_ticks(33.1, 38.2) == [32, 34, 36, 38, 40]
    assert round_ticks(5, 5)[0] <= 5 < round_ticks(5, 5)[-1]
    assert len(round_ticks(0.0101, 0.0109)) >= 3


def test_a_line_breaks_where_there_is_no_number() -> None:
    def drawn(points: list[tuple[float, float]]) -> int:
        line = Line("only", points, RED, markers=False)
        return has_colour(draw_chart([Panel("t", "x", "y", [line])]), RED, within=60)

    whole = drawn([(float(x), 1.0) for x in range(9)])
    broken = drawn([(float(x), math.nan if x in (3, 4, 5) else 1.0) for x in range(9)])
    assert 0 < broken < whole


def test_a_picture_becomes_an_image_of_the_host() -> None:
    picture = Image.new("RGB", (5, 3), RED)
    images = as_images(stacked([picture, Image.new("RGB", (2, 4), BLACK)]))
    assert images.shape == (1, 7, 5, 3)
    assert images[0, 0, 0].tolist() == [1, 0, 0]
    assert images[0, -1, 0].tolist() == [0, 0, 0]


def test_a_contact_sheet_has_a_row_for_every_clip() -> None:
    videos = torch.stack([torch.full((3, 5, 16, 16), value) for value in (-1.0, 1.0)])
    videos[1, 1:] = -1
    sheet = contact_sheet(videos, ["black", "red"], frames=3)
    assert has_colour(sheet, RED) == 3 * 16 * 16
    assert has_colour(sheet, BLACK, within=1) == 3 * 16 * 16
