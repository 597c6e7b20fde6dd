"""The flow-matching loss: what the network sees and what it is asked for."""

import torch
from comfyui_pocketvideo.pocketvideo.models.sampling import sample_euler, shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.flow import flow_loss
from torch import Tensor, nn


class Recorder(nn.Module):
    """Remembers its inputs and answers with a function of them."""

    def __init__(self, answer):  # type: ignore[no-untyped-def]
        super().__init__()
        self.answer = answer

    def forward(self, latent: Tensor, time: Tensor, ids: Tensor, mask: Tensor, motion: Tensor) -> Tensor:
        self.latent, self.time = latent, time
        return self.answer(latent, time)


def batch(given: list[bool]) -> tuple[Tensor, ...]:
    clean = torch.randn(len(given), 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ids = torch.zeros(len(given), 5, dtype=torch.int64)
    return clean, ids, ids, torch.zeros(len(given)), torch.tensor(given)


def test_a_given_first_frame_is_clean_at_time_zero_and_left_out_of_the_loss() -> None:
    clean, ids, mask, motion, given = batch([True, False])
    wrong_there = Recorder(lambda x, t: torch.zeros_like(x))
    first = flow_loss(wrong_there, clean, ids, mask, motion, given, torch.Generator().manual_seed(1))["loss"]
    assert torch.equal(wrong_there.latent[0, :, 0], clean[0, :, 0])
    assert wrong_there.time[0, 0] == 0 and (wrong_there.time[0, 1:] > 0).all()
    assert not torch.equal(wrong_there.latent[1, :, 0], clean[1, :, 0])
    assert (wrong_there.time[1] == wrong_there.time[1, 0]).all()

    def wild_on_the_given_frame(x: Tensor, t: Tensor) -> Tensor:
        return torch.where(t[:, None, :, None, None] == 0, 1e3, 0.0).expand_as(x)

    recorder = Recorder(wild_on_the_given_frame)
    second = flow_loss(recorder, clean, ids, mask, motion, given, torch.Generator().manual_seed(1))["loss"]
    assert torch.equal(first, second)


def test_the_true_velocity_has_no_loss() -> None:
    clean, ids, mask, motion, given = batch([False, False])

    def truth(x: Tensor, t: Tensor) -> Tensor:
        level = t[:, None, :, None, None]
        noise = (x - (1 - level) * clean) / level
        return noise - clean

    loss = flow_loss(Recorder(truth), clean, ids, mask, motion, given, torch.Generator().manual_seed(2))[
        "loss"
    ]
    assert loss < 1e-6


def test_euler_on_a_straight_flow_lands_on_the_data_in_any_number_of_steps() -> None:
    noise = torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    data = torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for steps, shift in ((1, 1.0), (7, 3.0)):
        out = sample_euler(lambda x, t: noise - data, noise, shifted_sigmas(steps, shift))
        torch.testing.assert_close(out, data, atol=1e-5, rtol=1e-5)


def test_euler_keeps_a_given_first_frame_in_every_step() -> None:
    noise = torch.randn(1, 2, 3, 4, 4)
    first = torch.full((1, 2, 1, 4, 4), 0.5)
    seen = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x[:, :, :1].clone(), t.clone()))
        return torch.ones_like(x)

    out = sample_euler(velocity, noise, shifted_sigmas(5, 1.0), first)
    assert torch.equal(out[:, :, :1], first)
    assert all(torch.equal(x, first) and t[0, 0] == 0 and (t[0, 1:] > 0).all() for x, t in seen)


def test_a_shift_spends_more_steps_on_high_noise() -> None:
    plain, shifted = shifted_sigmas(10, 1.0), shifted_sigmas(10, 3.0)
    assert plain[0] == shifted[0] == 1 and plain[-1] == shifted[-1] == 0
    assert (shifted[1:-1] > plain[1:-1]).all()
