"""Recipes are read, laid over each other, and name what exists; trajectories are the teacher's own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.models import build_model
from comfyui_pocketvideo.pocketvideo.models.sampling import sample_euler, shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.fewstep.discriminator import HeadsConfig
from comfyui_pocketvideo.pocketvideo.training.fewstep.drawing import DrawConfig, Source
from comfyui_pocketvideo.pocketvideo.training.fewstep.parent import encode_captions
from comfyui_pocketvideo.pocketvideo.training.fewstep.run import RECIPES, overlaid, read_recipe
from comfyui_pocketvideo.pocketvideo.training.fewstep.students import StudentConfig
from comfyui_pocketvideo.pocketvideo.training.fewstep.teacher import pocket_teacher
from comfyui_pocketvideo.pocketvideo.training.fewstep.trainer import TrainConfig
from comfyui_pocketvideo.pocketvideo.training.fewstep.trajectories import cache_trajectories
from comfyui_pocketvideo.pocketvideo.training.latents import LatentSet

NAMES = sorted(path.stem for path in RECIPES.glob("*.json"))
SETTINGS = {"clips": 40, "steps": 3, "shift": 1.0, "guidance": 3.0, "bf16": False, "given_first_frame": 0.5}


def tuples(section: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in section.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_names_what_exists(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe["name"] == name
    StudentConfig(**tuples(recipe["student"]))
    config = TrainConfig(**recipe["train"])
    assert set(config.weights) <= {"regression", "adversarial", "distribution", "consistency"}
    if "adversarial" in config.weights:
        HeadsConfig(**tuples(recipe["objectives"]["adversarial"]["heads"]))
    draw = DrawConfig(**tuples(recipe["draw"]))
    assert max(draw.starts) < recipe["trajectories"]["steps"]
    for steps, sigmas in recipe["sampling"]["sigmas"].items():
        assert len(sigmas) == int(steps) + 1
        assert sigmas[0] == 1 and sigmas[-1] == 0 and all(a > b for a, b in itertools.pairwise(sigmas))
        # A student is only asked where it was trained.
        way = shifted_sigmas(recipe["trajectories"]["steps"], recipe["trajectories"]["shift"]).tolist()
        known = {round(way[start], 6) for start in draw.starts}
        assert {round(sigma, 6) for sigma in sigmas[:-1]} <= known


def test_a_recipe_lies_over_its_base() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert overlaid(base, {"a": {"b": None, "c": 5}, "e": 6}) == {"a": {"c": 5}, "d": 3, "e": 6}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}
    alone = read_recipe("ablation_joint_heads_no_regression")
    assert list(alone["train"]["weights"]) == ["adversarial"]
    whole = read_recipe("pocket_shapes_few_step")["train"]["weights"]
    assert whole.keys() == {"regression", "distribution", "adversarial"}
    with pytest.raises(SystemExit, match="pocket_shapes_few_step"):
        read_recipe("nothing")


def test_a_recipe_that_cannot_be_drawn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="first start of 0"):
        DrawConfig(batch=2, starts=(1, 2), weights=(1, 1))


@pytest.fixture(scope="module")
def data() -> LatentSet:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(40, 24, 2, 2, 2, generator=generator)
    return LatentSet(latents, [f"a red circle moves left {i}" for i in range(40)], torch.linspace(1, 3, 40))


def test_trajectories_are_the_guided_teachers_own_and_are_computed_once(
    data: LatentSet, tmp_path: Path
) -> None:
    parent = build_model("pocket_shapes", 4)
    teacher = pocket_teacher(parent)
    recipe = {"seed": 6, "trajectories": SETTINGS}
    made = cache_trajectories(tmp_path, recipe, teacher, data)
    assert made.states.shape == (40, 4, 24, 2, 2, 2)
    given = made.free[:, 0] == 0
    assert 5 < int(given.sum()) < 35
    torch.testing.assert_close(
        made.states[given, -1, :, 0].float(), data.latents[given, :, 0], atol=2e-3, rtol=2e-3
    )
    # One of them once more, by the sampler that everything else is measured with.
    index = int((~given).nonzero()[0])
    context, mask = encode_captions(parent, [data.captions[index], ""])
    score = data.motion[index : index + 1].repeat(2)

    def velocity(x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        wanted, unwanted = parent.denoiser(
            x.repeat(2, 1, 1, 1, 1), times.repeat(2, 1), context, mask, score
        ).chunk(2)
        return unwanted + 3.0 * (wanted - unwanted)

    begun = made.states[index : index + 1, 0].float()
    found = sample_euler(velocity, begun, shifted_sigmas(3, 1.0))
    torch.testing.assert_close(made.states[index : index + 1, -1].float(), found, atol=2e-2, rtol=2e-2)
    # A second call reads; a lost shard is computed again, alone and alike.
    shards = sorted((tmp_path / "trajectories").glob("*.safetensors"))
    before = {path: path.stat().st_mtime_ns for path in shards}
    shards[1].unlink()
    again = cache_trajectories(tmp_path, recipe, teacher, data)
    assert torch.equal(again.states, made.states)
    assert shards[0].stat().st_mtime_ns == before[shards[0]]
    with pytest.raises(ValueError, match=r"lower trajectories\.clips"):
        cache_trajectories(tmp_path, {**recipe, "trajectories": {**SETTINGS, "clips": 41}}, teacher, data)


def test_processes_share_the_trajectories_and_each_has_all(
    data: LatentSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = pocket_teacher(build_model("pocket_shapes", 4))
    recipe = {"seed": 6, "trajectories": SETTINGS}
    alone = cache_trajectories(tmp_path / "alone", recipe, teacher, data)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    second = cache_trajectories(tmp_path / "two", recipe, teacher, data)
    shards = sorted((tmp_path / "two" / "trajectories").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name for path in shards] == ["000032.safetensors", "000000.safetensors"]
    assert torch.equal(second.states, alone.states) and torch.equal(second.free, alone.free)


def test_a_step_begins_where_the_recipe_says(data: LatentSet, tmp_path: Path) -> None:
    parent = build_model("pocket_shapes", 4)
    made = cache_trajectories(tmp_path, {"seed": 6, "trajectories": SETTINGS}, pocket_teacher(parent), data)
    context, mask = encode_captions(parent, data.captions)
    source = Source(data, made, context, mask)
    asked: list[int] = []

    def predict(x: torch.Tensor, time: torch.Tensor, conditions: Any) -> torch.Tensor:
        asked.append(len(x))
        assert bool((time == 1).all())
        return torch.full_like(x, 5.0)

    def draw(seed: int = 0, **changes: Any) -> Any:
        config = DrawConfig(**{"batch": 16, "starts": (0, 2), "weights": (1, 1), **changes})
        return source.draw(config, torch.Generator().manual_seed(seed), predict)

    batch = draw(rollout=0.0, renoised=0.0)
    assert not asked and sorted(set(batch.time.tolist())) == pytest.approx([1 / 3, 1.0])
    # On a trajectory: the start is a state of the very clip whose end is the target.
    states = made.states.float()
    for x, target, time in zip(batch.x, batch.target, batch.time, strict=True):
        step = 0 if float(time) == 1 else 2
        index = int((states[:, -1] - target).abs().flatten(1).sum(1).argmin())
        torch.testing.assert_close(x, states[index, step])
    assert torch.equal(draw(rollout=0.0).x, draw(rollout=0.0).x)
    # Rollouts begin at the student's own prediction, noised anew; given frames stay.
    rolled = draw(rollout=1.0)
    later = rolled.time < 1
    assert asked[-1] == int(later.sum())
    free = rolled.conditions.free[later][:, None, :, None, None].bool().expand_as(rolled.x[later])
    assert float(rolled.x[later][free].mean()) == pytest.approx(5 * 2 / 3, abs=0.2)
    # Fresh clips begin at noise of no trajectory, get to later starts by themselves, and have no target.
    begun = {bytes(state.numpy().tobytes()) for state in states[:, 0]}
    mixed = draw(fresh=0.5, rollout=0.0)
    assert 0 < int(mixed.paired.sum()) < 16
    assert asked[-1] == int(((mixed.paired == 0) & (mixed.time < 1)).sum()) > 0
    for x, time, has_target in zip(mixed.x, mixed.time, mixed.paired, strict=True):
        if float(time) == 1:
            assert (bytes(x.contiguous().numpy().tobytes()) in begun) == bool(has_target)
    assert not draw(fresh=1.0).paired.any()
    still = draw(images=1.0)
    assert still.x.shape[2] == 1 and bool((still.conditions.free == 1).all())
    assert bool((still.paired == (still.time < 1)).all())
    assert torch.equal(draw(real="data").target, draw().target)
    assert not torch.equal(draw(real="data").real, draw().real)
