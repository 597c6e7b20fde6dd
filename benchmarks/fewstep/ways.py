"""Ways to sample, the clips that each makes of held-out prompts, and what those show."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import Any

import torch
from comfyui_pocketvideo.pocketvideo.eval.adherence import adherence
from comfyui_pocketvideo.pocketvideo.eval.frechet import clip_features, frechet_distance
from comfyui_pocketvideo.pocketvideo.eval.metrics import motion
from comfyui_pocketvideo.pocketvideo.few_step import RENOISE, read_card
from comfyui_pocketvideo.pocketvideo.models import PocketModel
from comfyui_pocketvideo.pocketvideo.models.sampling import generate, shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.data.shapes import ClipSpec, draw_spec, render
from tqdm import tqdm

TEACHER_STEPS = 25
BATCH = 8
# Rendered clips per held-out prompt that the distance is measured to.
REAL = 8


@dataclass(frozen=True)
class Way:
    """One way to sample."""

    name: str
    model: PocketModel
    sigmas: torch.Tensor
    guidance: float
    renoise: bool

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def evaluations(self) -> int:
        return self.steps * (1 if self.guidance == 1 else 2)


def ways_of(teacher: PocketModel, student: PocketModel) -> list[Way]:
    """The teacher with all its steps and with few, and the student at every number that it knows."""
    card = read_card(student.config)
    if card is None:
        raise SystemExit("The student's file has no card of few-step sampling: pack it again.")
    guidance, shift = teacher.defaults["guidance"], teacher.defaults["shift"]
    ways = [
        Way(f"teacher, {steps} steps", teacher, shifted_sigmas(steps, shift), guidance, False)
        for steps in (TEACHER_STEPS, 4, 2)
    ]
    for steps in sorted(card.steps, reverse=True):
        sigmas = torch.tensor(card.sigmas(steps))
        name = f"student, {steps} step{'s' if steps > 1 else ''}"
        ways.append(Way(name, student, sigmas, 1.0, card.sampling == RENOISE))
    return ways


def rendered(specs: list[ClipSpec], model: PocketModel) -> torch.Tensor:
    """Clips of the data set for the same triples and backgrounds, drawn anew."""
    drawn = [
        draw_spec(random.Random(f"real/{i}/{n}"), spec.colour, spec.shape, spec.motion, spec.background)
        for i, spec in enumerate(specs)
        for n in range(REAL)
    ]
    size = model.defaults
    return render(drawn, size["frames"], size["height"], size["width"])


def clips_of(way: Way, specs: list[ClipSpec], seeds: int, seed: int) -> torch.Tensor:
    """One clip per prompt and seed, `[N, 3, T, H, W]`."""
    parts = []
    asked = [(spec, number) for number in range(seeds) for spec in specs]
    for first in tqdm(range(0, len(asked), BATCH), way.name):
        window = [spec for spec, _ in asked[first : first + BATCH]]
        parts.append(
            generate(
                way.model,
                [spec.caption for spec in window],
                seed=seed + first,
                guidance=way.guidance,
                motion=[spec.motion_score for spec in window],
                sigmas=way.sigmas,
                renoise=way.renoise,
            )
        )
    return torch.cat(parts)


def judged(
    way: Way, videos: torch.Tensor, specs: list[ClipSpec], real: torch.Tensor, teacher: PocketModel
) -> dict[str, Any]:
    """What the clips of one way show."""
    clips = [((clip.clamp(-1, 1) + 1) / 2).permute(1, 2, 3, 0) for clip in videos]
    moved = statistics.fmean(motion(clip) for clip in clips)
    distance = frechet_distance(clip_features(teacher.vae, videos), real)
    found = adherence(clips, specs)
    return {
        "way": way.name,
        "evaluations": way.evaluations,
        "colour": found["colour"],
        "shape": found["shape"],
        "direction": found["motion"],
        "all": found["all"],
        "motion": moved,
        "Frechet": distance,
    }
