"""A tiny few-step run as a program: `python few_step_case.py FOLDER [--until N] [--objectives a,b] [--pair]`.

Started by torchrun it is one of several processes (gloo). `--pair` draws, in one
process, what two processes would draw between them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path

import torch
from comfyui_pocketvideo.pocketvideo.models import Denoiser, DenoiserConfig, initialise
from comfyui_pocketvideo.pocketvideo.training.fewstep.drawing import DrawConfig, Source
from comfyui_pocketvideo.pocketvideo.training.fewstep.objectives import Batch
from comfyui_pocketvideo.pocketvideo.training.fewstep.parent import Conditions, pocket_velocity
from comfyui_pocketvideo.pocketvideo.training.fewstep.run import build_objectives
from comfyui_pocketvideo.pocketvideo.training.fewstep.students import (
    StudentConfig,
    make_optimizers,
    make_student,
    merged_state,
)
from comfyui_pocketvideo.pocketvideo.training.fewstep.teacher import Teacher
from comfyui_pocketvideo.pocketvideo.training.fewstep.trainer import STREAM, FewStepTrainer, TrainConfig
from comfyui_pocketvideo.pocketvideo.training.fewstep.trajectories import Trajectories
from comfyui_pocketvideo.pocketvideo.training.latents import LatentSet
from comfyui_pocketvideo.pocketvideo.training.loop import generator_for
from comfyui_pocketvideo.pocketvideo.training.sharding import whole
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

SEED, STEPS = 4, 6
HEADS = {"stages": [0, 1], "kinds": ["both", "difference"], "width": 16}
RECIPE = {
    "seed": SEED,
    "trajectories": {"guidance": 2.0},
    "objectives": {
        "adversarial": {"heads": HEADS, "mean": -1.0, "std": 1.0, "r1": 0.1},
        "consistency": {"warmup": 4},
    },
}


def teacher() -> Denoiser:
    """Four blocks with text, of seeded weights."""
    config = DenoiserConfig(
        in_channels=4, width=24, depth=4, heads=2, mlp_hidden=16, text_width=8, cross_attention=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Denoiser(config)
        initialise(made)
        for parameter in made.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    return made.eval().requires_grad_(False)


def source(clips: int = 12) -> Source:
    """Trajectories that nobody computed, every one a straight line from noise to a clip."""
    generator = torch.Generator().manual_seed(9)
    latents = torch.randn(clips, 4, 3, 2, 2, generator=generator)
    noise = torch.randn(latents.shape, generator=generator)
    sigmas = torch.linspace(1, 0, 5)
    states = torch.stack([(1 - s) * latents + s * noise for s in sigmas], 1).half()
    context = torch.randn(clips, 3, 8, generator=generator)
    mask = torch.ones(clips, 3, dtype=torch.int64)
    motion = torch.rand(clips, generator=generator)
    data = LatentSet(latents, ["clip"] * clips, motion)
    return Source(data, Trajectories(states, sigmas, torch.ones(clips, 3)), context, mask)


class Pair:
    """What two processes draw in a step, as one batch."""

    def __init__(self, inner: Source) -> None:
        self.inner, self.step = inner, 0

    def draw(self, config: DrawConfig, generator: torch.Generator, predict: object) -> Batch:
        parts = [
            self.inner.draw(config, generator_for(SEED, 2 * self.step + rank, STREAM), predict)  # type: ignore[arg-type]
            for rank in (0, 1)
        ]
        self.step += 1
        joined = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("x", "time", "target", "paired", "real")
        }
        conditions = {
            field.name: torch.cat([getattr(part.conditions, field.name) for part in parts])
            for field in fields(Conditions)
        }
        return Batch(**joined, conditions=Conditions(**conditions), generator=generator)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--until", type=int)
    parser.add_argument("--objectives", default="regression,adversarial,distribution")
    parser.add_argument("--kind", default="full")
    parser.add_argument("--precision", default="no")
    parser.add_argument("--pair", action="store_true")
    parser.add_argument("--shard", action="store_true")
    parser.add_argument("--tracker", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--phase", type=json.loads, action="append", default=[], help="entries of a Phase")
    parser.add_argument("--fresh-from", type=int, help="all clips begin at fresh noise from this step on")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    names = arguments.objectives.split(",")
    config = TrainConfig(
        steps=STEPS,
        weights=dict.fromkeys(names, 0.5),
        begin={"adversarial": 2},
        critic_updates={"distribution": 2},
        phases=tuple(arguments.phase),
        warmup=2,
        checkpoint_every=1,
        mixed_precision=arguments.precision,
        shard=arguments.shard,
        tracker=arguments.tracker,
    )
    settings = StudentConfig(kind=arguments.kind, rank=2, lr=1e-2, adam_lr=1e-2)
    network = teacher()
    student = make_student(network, settings, SEED)
    words = (torch.zeros(1, 3, 8), torch.ones(1, 3, dtype=torch.int64))
    parent = Teacher(network, pocket_velocity, lambda made: list(made.blocks), (24, 8), lambda _: words)
    trainer = FewStepTrainer(
        arguments.folder,
        config,
        student,
        pocket_velocity,
        build_objectives(RECIPE, config, parent, student, settings),
        lambda name, made: make_optimizers(name, made, settings),
        SEED,
    )
    drawn = source()
    draw = DrawConfig(batch=4, starts=(0, 2), weights=(1, 1), rollout=0.5, renoised=0.25)
    if arguments.fresh_from is not None:
        draw = replace(draw, fresh=1.0, fresh_from=arguments.fresh_from)
    trainer.run(Pair(drawn) if arguments.pair else drawn, draw, until=arguments.until)  # type: ignore[arg-type]
    rank = trainer.accelerator.process_index
    save_file(
        merged_state(trainer.plain, trainer.averaged()), arguments.folder / f"student-{rank}.safetensors"
    )
    raw = {name: whole(value.detach()).clone() for name, value in trainer.plain.named_parameters()}
    held = sum(
        (value.to_local() if isinstance(value, DTensor) else value).numel()
        for value in trainer.plain.parameters()
    )
    save_file(raw, arguments.folder / f"raw-{rank}.safetensors")
    said = {"step": trainer.step, "held": held, "processes": trainer.processes, "threads": trainer.threads}
    (arguments.folder / f"said-{rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
