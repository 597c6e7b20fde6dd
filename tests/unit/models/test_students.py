"""A student's file: its own denoiser, its parent's text encoder and VAE, and its card."""

from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.few_step import Card, NotAStudent, read_card, split_at
from comfyui_pocketvideo.pocketvideo.models import ModelFileError, build_model, load_model, save_model
from comfyui_pocketvideo.pocketvideo.models.sampling import sample_renoise
from comfyui_pocketvideo.pocketvideo.training.fewstep.card import save_student

CARD = {
    "sigmas": {"2": [1.0, 0.76, 0.0], "1": [1.0, 0.0]},
    "sampling": "renoise",
    "steps": 2,
    "guidance": 1.0,
}


@pytest.fixture
def student(tmp_path: Path) -> Path:
    parent, other = build_model("pocket_shapes", 1), build_model("pocket_shapes", 2)
    save_model(tmp_path / "parent.safetensors", parent)
    path = tmp_path / "student.safetensors"
    save_student(path, other.denoiser.state_dict(), parent.config, tmp_path / "parent.safetensors", CARD)
    return path


def test_a_student_shares_what_is_its_parents(student: Path) -> None:
    made, parent = load_model(student), load_model(student.with_name("parent.safetensors"))
    for part in ("vae", "text_encoder"):
        for name, value in getattr(parent, part).state_dict().items():
            assert torch.equal(getattr(made, part).state_dict()[name], value), name
    own, theirs = made.denoiser.state_dict(), parent.denoiser.state_dict()
    assert any(not torch.equal(own[name], theirs[name]) for name in own)
    assert student.stat().st_size < 0.6 * student.with_name("parent.safetensors").stat().st_size
    assert made.defaults["guidance"] == 1.0 and made.defaults["steps"] == 2
    card = read_card(made.config)
    assert card is not None and card.steps == (1, 2) and card.sigmas(2) == (1.0, 0.76, 0.0)
    assert read_card(parent.config) is None


def test_a_student_without_its_own_parent_is_refused(student: Path) -> None:
    parent = student.with_name("parent.safetensors")
    save_model(parent, build_model("pocket_shapes", 3))
    with pytest.raises(ModelFileError, match=r"another version of 'parent\.safetensors'"):
        load_model(student)
    parent.unlink()
    with pytest.raises(ModelFileError, match="put both into one folder"):
        load_model(student)


@pytest.mark.parametrize(
    "broken",
    [
        {"sigmas": {}, "sampling": "renoise"},
        {"sigmas": {"2": [1.0, 1.0, 0.0]}, "sampling": "renoise"},
        {"sigmas": {"1": [1.0, 0.1]}, "sampling": "renoise"},
        {"sigmas": {"1": [1.5, 0.0]}, "sampling": "ode"},
        {"sigmas": {"1": ["x", 0.0]}, "sampling": "ode"},
        {"sigmas": {"1": [1.0, 0.0]}, "sampling": "magic"},
        {"sampling": "ode"},
        [],
        "few",
    ],
)
def test_a_broken_card_is_refused(broken: object) -> None:
    with pytest.raises(NotAStudent, match="fetch the file again"):
        read_card({"few_step": broken})


def test_two_schedules_meet_where_the_second_model_knows_how_to_go_on() -> None:
    high, low = (1.0, 0.9, 0.8, 0.5, 0.0), (1.0, 0.92, 0.76, 0.0)
    first, second = split_at(high, low, 0.92)
    assert first == pytest.approx((1.0, 0.92)) and second == pytest.approx((0.92, 0.76, 0.0))
    first, second = split_at(high, low, 0.9)
    assert first == pytest.approx((1.0, 0.9, 0.8, 0.76)) and second == pytest.approx((0.76, 0.0))
    with pytest.raises(NotAStudent, match=r"raise the boundary to 0\.76"):
        split_at(high, low, 0.5)
    with pytest.raises(NotAStudent, match="lower the boundary"):
        split_at((0.7, 0.0), low, 0.8)


def test_a_card_says_which_steps_it_knows() -> None:
    card = Card(((1.0, 0.0), (1.0, 0.5, 0.0), (1.0, 0.7, 0.5, 0.2, 0.0)), "ode")
    with pytest.raises(NotAStudent, match="1, 2 or 4 steps, not 3"):
        card.sigmas(3)


def test_fresh_noise_is_the_next_draw_of_one_generator() -> None:
    noise = torch.randn(1, 4, 2, 2, 2, generator=torch.Generator().manual_seed(3))
    seen: list[torch.Tensor] = []

    def velocity(x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return x - 0.25  # x - sigma v is not the clean clip but a known one

    found = sample_renoise(velocity, noise, torch.tensor([1.0, 0.5, 0.25, 0.0]), seed=9)
    generator = torch.Generator().manual_seed(10)
    draws = [torch.randn(noise.shape, generator=generator) for _ in range(2)]
    clean = noise - (noise - 0.25)
    second = 0.5 * clean + 0.5 * draws[0]
    torch.testing.assert_close(seen[1], second)
    third = 0.75 * (second - 0.5 * (second - 0.25)) + 0.25 * draws[1]
    torch.testing.assert_close(seen[2], third)
    torch.testing.assert_close(found, third - 0.25 * (third - 0.25))
