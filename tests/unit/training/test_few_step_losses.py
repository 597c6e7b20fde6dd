"""What the few-step objectives compute: every formula against another way of writing it."""

from __future__ import annotations

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.training.fewstep.discriminator import (
    KINDS,
    Heads,
    HeadsConfig,
    block_features,
)
from comfyui_pocketvideo.pocketvideo.training.fewstep.losses import (
    approximated_r1,
    hinge_fake,
    hinge_generator,
    hinge_real,
    logit_normal,
    pseudo_huber,
    token_mean,
)
from comfyui_pocketvideo.pocketvideo.training.fewstep.objectives import (
    Adversarial,
    Batch,
    DistributionMatching,
    Regression,
)
from comfyui_pocketvideo.pocketvideo.training.fewstep.parent import (
    Conditions,
    clean_from,
    guided,
    pocket_velocity,
    renoise,
)
from torch import Tensor, nn

SHAPE = (3, 4, 5, 2, 2)


def conditions(given: int | None = 0) -> Conditions:
    """Three clips, of which one has a given first frame."""
    generator = torch.Generator().manual_seed(3)
    free = torch.ones(3, 5)
    if given is not None:
        free[given, 0] = 0
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1]])
    context = torch.randn(3, 3, 6, generator=generator) * mask[..., None]
    first = torch.randn(3, 4, 1, 2, 2, generator=generator)
    return Conditions(context, mask, torch.tensor([1.0, 2.0, 3.0]), free, first)


def batch(seed: int = 5, given: int | None = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    held = conditions(given)
    real = held.hold(torch.randn(SHAPE, generator=generator))
    time = torch.tensor([1.0, 0.5, 0.25])
    x = renoise(real, torch.randn(SHAPE, generator=generator), time, held)
    return Batch(x, time, real, torch.ones(3), real, held, generator)


def linear_field(x: Tensor, times: Tensor, held: Conditions) -> Tensor:
    """A velocity that knows its text, its times and its motion."""
    text = held.pooled.mean(1)[:, None, None, None, None]
    return 0.5 * x + text + times[:, None, :, None, None] * held.motion[:, None, None, None, None]


def test_hinge_pushes_real_above_one_and_fake_below_minus_one() -> None:
    free = torch.ones(1, 1)
    logits = torch.tensor([[[[2.0, 0.5], [-0.5, -2.0]]]])
    assert hinge_real(logits, free) == pytest.approx((0 + 0.5 + 1.5 + 3.0) / 4)
    assert hinge_fake(logits, free) == pytest.approx((3.0 + 1.5 + 0.5 + 0) / 4)
    assert hinge_generator(logits, free) == 0
    assert approximated_r1(logits, logits + 0.5, free) == pytest.approx(0.25)


def test_pseudo_huber_is_square_near_and_straight_far() -> None:
    free, paired = torch.ones(1, 5), torch.ones(1)
    zero = torch.zeros(1, 4, 5, 2, 2)
    near, far = zero + 1e-3, zero + 100.0
    assert pseudo_huber(near, zero, free, paired, 0.1) == pytest.approx(1e-6 / 0.2, rel=2e-2)
    assert pseudo_huber(far, zero, free, paired, 0.1) == pytest.approx(99.9, rel=1e-3)


def test_given_frames_and_clips_without_a_target_count_for_nothing() -> None:
    free = torch.ones(3, 5)
    free[0, 0] = 0
    values = torch.zeros(3, 5, 2, 2)
    values[0, 0] = 1000.0
    values[1] = 1.0
    assert token_mean(values, free) == pytest.approx(5 / 14)
    predicted, target = torch.zeros(SHAPE), torch.zeros(SHAPE)
    predicted[2] = 7.0
    paired = torch.tensor([1.0, 1.0, 0.0])
    assert pseudo_huber(predicted, target, free, paired, 0.03) == 0


def test_a_given_first_frame_stays_through_noise_and_prediction() -> None:
    held = conditions()
    made = batch()
    assert torch.equal(made.x[0, :, :1], held.first[0])
    found = clean_from(linear_field, made.x, made.time, held)
    assert torch.equal(found[0, :, :1], held.first[0])
    # x0 = x - t v where frames are made, with time 0 on the given one.
    times = made.time[:, None] * held.free
    by_hand = made.x - made.time.view(3, 1, 1, 1, 1) * linear_field(made.x, times, held)
    torch.testing.assert_close(found[1:], by_hand[1:])
    torch.testing.assert_close(found[0, :, 1:], by_hand[0, :, 1:])


def test_guidance_is_two_calls_in_one() -> None:
    held, made = conditions(), batch()
    empty = (torch.full((1, 3, 6), 0.25), torch.tensor([[1, 0, 0]]))
    times = held.times(made.time)
    wanted = linear_field(made.x, times, held)
    unwanted = linear_field(made.x, times, held.without_text(empty))
    both = guided(linear_field, 4.0, empty)(made.x, times, held)
    torch.testing.assert_close(both, unwanted + 4 * (wanted - unwanted))
    assert guided(linear_field, 1.0, empty) is linear_field


def test_pooled_text_is_the_mean_of_words() -> None:
    held = conditions()
    torch.testing.assert_close(held.pooled[1], held.context[1, 0])
    torch.testing.assert_close(held.pooled[0], held.context[0, :2].mean(0))


def test_times_of_the_discriminator_favour_low_noise() -> None:
    times = logit_normal(4000, -1.0, 1.0, torch.Generator().manual_seed(0))
    assert float(times.min()) > 0 and float(times.max()) < 1
    assert float(times.median()) == pytest.approx(0.269, abs=0.02)


class Blocks(nn.Module):
    """Four blocks that double their tokens; the last would break."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Identity() for _ in range(4))
        self.seen = 0

    def forward(self, x: Tensor, times: Tensor, held: Conditions) -> Tensor:
        tokens = x.permute(0, 2, 3, 4, 1)
        for block in self.blocks:
            self.seen += 1
            tokens = block(tokens * 2)
        return tokens


@pytest.mark.parametrize("flat", [False, True])
def test_features_end_after_the_last_stage(flat: bool) -> None:
    network, made = Blocks(), batch()

    def velocity(x: Tensor, times: Tensor, held: Conditions) -> Tensor:
        return network(x, times, held)

    if flat:
        for block in network.blocks:
            block.register_forward_pre_hook(lambda _, inputs: (inputs[0].flatten(1, -2),))
    features = block_features(list(network.blocks), (0, 2), velocity)
    tokens = made.x.permute(0, 2, 3, 4, 1)
    if flat:
        first = block_features(list(network.blocks), (0,), velocity)(made.x, made.time, made.conditions)
        assert first[0].shape == tokens.shape
        torch.testing.assert_close(first[0], 2 * tokens)
        return
    found = features(made.x, made.time, made.conditions)
    torch.testing.assert_close(found[0], 2 * tokens)
    torch.testing.assert_close(found[1], 8 * tokens)
    assert network.seen == 3
    with pytest.raises(ValueError, match="has 4 blocks"):
        block_features(list(network.blocks), (4,), velocity)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_head_sees_what_it_is_for(kind: str) -> None:
    torch.manual_seed(0)
    heads = Heads(HeadsConfig((0,), (kind,), width=16), channels=8, text_width=6)
    tokens = torch.randn(2, 5, 4, 4, 8)
    pooled = torch.randn(2, 6)
    (before,) = heads([tokens], pooled)
    assert before.shape == (2, 5, 4, 4)
    moved = tokens.clone()
    moved[:, 2, 1, 1] += torch.randn(8)
    changed = (heads([moved], pooled)[0] - before).abs().amax((0,)) > 1e-6
    elsewhere_in_frame = bool(changed[2, 3, 3])
    other_frames_same_place = bool(changed[0, 1, 1])
    assert elsewhere_in_frame == (kind != "temporal")  # convolutions and their norm reach over the frame
    assert other_frames_same_place == (kind in ("both", "temporal"))
    if kind == "difference":
        still = tokens[:, :1].expand(-1, 5, -1, -1, -1)
        logits = heads([still], pooled)[0]
        torch.testing.assert_close(logits, logits[:, :1].expand(-1, 5, -1, -1))
    # The projection: another text, another logit.
    assert not torch.allclose(heads([tokens], pooled.flip(0))[0], before)


def test_unknown_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="correct the recipe"):
        HeadsConfig((0,), ("spacial",))


def test_regression_is_the_distance_to_the_result() -> None:
    made = batch()
    predicted = made.target + 1.0
    assert Regression(c=0.03).generator_loss(predicted, made) == pytest.approx((1 + 0.0009) ** 0.5 - 0.03)


# Another distribution; the same number in every channel would be lost in the heads' normalisation.
AWAY = torch.tensor([2.0, -2.0, 1.0, 0.0]).view(1, 4, 1, 1, 1)


def adversarial() -> Adversarial:
    torch.manual_seed(1)
    heads = Heads(HeadsConfig((0,), ("both",), width=16), channels=4, text_width=6)

    def features(x: Tensor, times: Tensor, held: Conditions) -> list[Tensor]:
        return [x.permute(0, 2, 3, 4, 1)]

    return Adversarial(features, heads, mean=-1.0, std=1.0, r1=1.0)


def test_the_discriminator_learns_to_tell_and_the_generator_to_be_taken_for_real() -> None:
    objective, first = adversarial(), batch()
    predicted = first.real + AWAY
    optimizer = torch.optim.AdamW(objective.critic.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        made = batch(seed=step)
        terms = objective.critic_losses(objective.critic, made.real + AWAY, made)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        losses.append(float(terms["critic"]))
    assert losses[-1] < 0.5 * losses[0]
    guess = predicted.clone().requires_grad_(True)
    loss = objective.generator_loss(guess, first)
    loss.backward()
    assert guess.grad is not None
    # Downhill is back towards the real clips, and the heads got no gradient of the generator's.
    towards = (guess.grad * (predicted - first.real)).sum()
    assert float(towards) > 0
    assert all(parameter.requires_grad for parameter in objective.critic.parameters())


class Field(nn.Module):
    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(offset))


def velocity_of(network: nn.Module) -> object:
    def velocity(x: Tensor, times: Tensor, held: Conditions) -> Tensor:
        return linear_field(x, times, held) + network.offset

    return velocity


def test_distribution_matching_moves_by_the_difference_of_two_scores() -> None:
    fake = Field(0.0)
    objective = DistributionMatching(velocity_of(Field(0.3)), fake, velocity_of)  # type: ignore[arg-type]
    made = batch(given=None)
    guess = made.real.clone().requires_grad_(True)
    objective.generator_loss(guess, made).backward()
    assert guess.grad is not None
    # The real score's clean clip is lower by 0.3 t: the gradient points that way, at every cell alike.
    assert float(guess.grad.min()) > 0
    per_clip = guess.grad.flatten(1)
    torch.testing.assert_close(per_clip, per_clip[:, :1].expand_as(per_clip), rtol=1e-3, atol=1e-8)
    same = DistributionMatching(velocity_of(Field(0.0)), fake, velocity_of)  # type: ignore[arg-type]
    still = made.real.clone().requires_grad_(True)
    same.generator_loss(still, made).backward()
    assert still.grad is not None and float(still.grad.abs().max()) == 0


def test_the_fake_score_is_trained_on_what_the_student_makes() -> None:
    fake = Field(0.0)
    objective = DistributionMatching(linear_field, fake, velocity_of)  # type: ignore[arg-type]
    made = batch()
    loss = objective.critic_losses(fake, made.real, made)["fake_score"]
    loss.backward()
    assert fake.offset.grad is not None and float(fake.offset.grad.abs()) > 0


def test_our_own_denoiser_is_called_by_its_conditions() -> None:
    from comfyui_pocketvideo.pocketvideo.models import build_model

    model = build_model("pocket_shapes", 1)
    context, mask = model.encode_text(["a red circle moves left"])
    first = torch.zeros(1, 24, 1, 2, 2)
    held = Conditions(context, mask, torch.tensor([2.0]), torch.ones(1, 2), first)
    x = torch.randn(1, 24, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    found = pocket_velocity(model.denoiser)(x, torch.full((1, 2), 0.5), held)
    expected = model.denoiser(x, torch.full((1, 2), 0.5), context, mask, torch.tensor([2.0]))
    assert torch.equal(found, expected)
