"""LTX-Video and Wan, tiny, from diffusers' own classes: LoRA students by the same loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from comfyui_pocketvideo.pocketvideo.training.fewstep.discriminator import Heads, HeadsConfig, block_features
from comfyui_pocketvideo.pocketvideo.training.fewstep.drawing import DrawConfig, Source
from comfyui_pocketvideo.pocketvideo.training.fewstep.families import FAMILIES
from comfyui_pocketvideo.pocketvideo.training.fewstep.objectives import (
    Adversarial,
    DistributionMatching,
    Objective,
    Regression,
)
from comfyui_pocketvideo.pocketvideo.training.fewstep.parent import Conditions
from comfyui_pocketvideo.pocketvideo.training.fewstep.students import (
    StudentConfig,
    lora_state,
    make_optimizers,
    make_student,
    merged_state,
)
from comfyui_pocketvideo.pocketvideo.training.fewstep.trainer import FewStepTrainer, TrainConfig
from comfyui_pocketvideo.pocketvideo.training.fewstep.trajectories import Trajectories
from comfyui_pocketvideo.pocketvideo.training.latents import LatentSet
from diffusers import LTXVideoTransformer3DModel, WanTransformer3DModel

CHANNELS, TEXT = 4, 16


def network(family: str) -> Any:
    """Two blocks of the family's own class, of seeded weights."""
    torch.manual_seed(2)
    if family == "ltxv":
        made = LTXVideoTransformer3DModel(
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_attention_heads=2,
            attention_head_dim=16,
            cross_attention_dim=32,
            num_layers=2,
            caption_channels=TEXT,
        )
    else:
        made = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            text_dim=TEXT,
            freq_dim=16,
            ffn_dim=32,
            num_layers=2,
        )
    return made.eval().requires_grad_(False)


def source(clips: int = 6) -> Source:
    generator = torch.Generator().manual_seed(4)
    latents = torch.randn(clips, CHANNELS, 3, 4, 4, generator=generator)
    noise = torch.randn(latents.shape, generator=generator)
    sigmas = torch.linspace(1, 0, 5)
    states = torch.stack([(1 - s) * latents + s * noise for s in sigmas], 1).half()
    free = torch.ones(clips, 3)
    free[::2, 0] = 0
    context = torch.randn(clips, 5, TEXT, generator=generator)
    data = LatentSet(latents, ["clip"] * clips, torch.zeros(clips))
    return Source(data, Trajectories(states, sigmas, free), context, torch.ones(clips, 5))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_lora_student_of_a_published_family(name: str, tmp_path: Path) -> None:
    family, teacher = FAMILIES[name], network(name)
    settings = StudentConfig(kind="lora", rank=2, lr=1e-2, targets=family.targets)
    student, fake = make_student(teacher, settings, 1), make_student(teacher, settings, 2)
    width, text = family.sizes_of(teacher)
    features = block_features(family.blocks_of(teacher), (0, 1), family.velocity_of(teacher))
    heads = Heads(HeadsConfig((0, 1), width=16), width, text)
    objectives: dict[str, Objective] = {
        "regression": Regression(),
        "adversarial": Adversarial(features, heads, -1.0, 1.0, 0.1),
        "distribution": DistributionMatching(family.velocity_of(teacher), fake, family.velocity_of),
    }
    trainer = FewStepTrainer(
        tmp_path,
        TrainConfig(steps=2, weights=dict.fromkeys(objectives, 1.0), warmup=1, checkpoint_every=2),
        student,
        family.velocity_of,
        objectives,
        lambda part, made: make_optimizers(part, made, settings),
        seed=3,
        accelerator=Accelerator(cpu=True),
    )
    drawn = source()
    trainer.run(drawn, DrawConfig(batch=3, starts=(0, 2), weights=(1, 1)))

    trained = lora_state(trainer.plain, trainer.averaged())
    assert all(key.startswith("diffusion_model.") and ".default." not in key for key in trained)
    assert any(bool(value.any()) for key, value in trained.items() if "lora_B" in key)
    merged = network(name)
    merged.load_state_dict(merged_state(trainer.plain, dict(trainer.plain.named_parameters())))
    clip = drawn.data.latents[:2]
    held = Conditions(
        drawn.context[:2], drawn.mask[:2], torch.zeros(2), drawn.trajectories.free[:2], clip[:, :, :1]
    )
    times = held.times(torch.tensor([0.5, 0.7]))
    with torch.no_grad():
        adapted = family.velocity_of(trainer.plain)(clip, times, held)
        plain = family.velocity_of(merged)(clip, times, held)
        before = family.velocity_of(teacher)(clip, times, held)
    assert adapted.shape == clip.shape
    torch.testing.assert_close(adapted, plain, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(adapted, before, atol=1e-4)
