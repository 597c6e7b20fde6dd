"""Bars 1 and 2: held-out prompts of pocket_shapes, every way of making them side by side.

For each prompt all ways run one after the other, each time beginning with another one, so that what else the
machine does hits all alike. A ratio of times is the median of the prompts' own ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import comfy.patcher_extension
import comfy.samplers
import torch
from comfy_extras.nodes_model_advanced import ModelSamplingAuraFlow
from comfyui_pocketvideo.nodes.host.loading import LoadedModel, load_for_host
from comfyui_pocketvideo.nodes.host.model import MOTION_KEY
from comfyui_pocketvideo.pocketvideo.eval.adherence import detect
from comfyui_pocketvideo.pocketvideo.eval.metrics import flicker, motion, psnr, ssim
from comfyui_pocketvideo.pocketvideo.training.data.shapes import ClipSpec, held_out_prompts
from torch import Tensor
from tqdm import tqdm

from acceleration import variants
from acceleration.clock import now
from acceleration.variants import Variant

FIRST_SEED = 1000
GUIDANCE = 4.0
# The size that pocket_shapes was trained at.
SIDE, FRAMES = 128, 17
KEY = "bench-accelerate"
ADHERENCE = ("colour", "shape", "motion")


class Grid(NamedTuple):
    """A schedule of sigmas: its name, the shift of time (SD3, eq. 23), and whether Merge alone runs on it."""

    name: str
    shift: float
    merging: bool


@dataclass(frozen=True)
class Made:
    """One video and what it took; seconds of the sampler alone and with text and decoder."""

    clip: Tensor
    latent: Tensor
    evaluations: float
    seconds: float
    whole_seconds: float


def paper_shift(height: int, width: int, frames: int) -> float:
    """On-device Sora's shift by size, as in Open-Sora: sqrt(H W / 512^2) sqrt(frames // 17 * 5)."""
    return math.sqrt(height * width / 512**2) * math.sqrt(frames // 17 * 5)


def measure(
    model_file: str, prompts: int, steps: int, calibration: int, combined: dict[str, Any]
) -> list[dict[str, Any]]:
    """Raw figures per grid: `{grid, shift, ways: {name: {settings, clips: [...]}}}`.

    `calibration` prompts choose EasyCache's threshold; `combined` holds the settings of Leap and Merge
    together, for no default promises to be right for both at once.
    """
    loaded = load_for_host(Path(model_file))
    specs = held_out_prompts(max(64, prompts))[:prompts]
    plain = loaded.model
    default_shift = float(plain.get_model_object("model_sampling").shift)
    grids = (
        Grid("On-device Sora's", paper_shift(SIDE, SIDE, FRAMES), merging=True),
        Grid("quickstart's", default_shift, merging=False),
    )
    results = []
    for grid in grids:
        # The node that a user shifts time with: AuraFlow's counts time from 0 to 1, as this model does.
        (model,) = ModelSamplingAuraFlow().patch_aura(plain, grid.shift)
        bench = Bench(loaded._replace(model=model), grid, steps)
        ways = bench.ways(specs[:calibration], combined)
        results.append(
            {
                "grid": grid.name,
                "shift": grid.shift,
                "steps": steps,
                "ways": {
                    way.name: {"settings": way.settings, "clips": clips}
                    for way, clips in zip(ways, bench.compare(ways, specs), strict=True)
                },
            }
        )
    return results


class Bench:
    """Makes videos on one schedule."""

    def __init__(self, loaded: LoadedModel, grid: Grid, steps: int):
        self._loaded = loaded
        self._grid = grid
        sampling = loaded.model.get_model_object("model_sampling")
        self._sigmas = comfy.samplers.calculate_sigmas(sampling, "simple", steps)
        self._steps = steps
        sizes = loaded.model.model.latent_format
        frames = (FRAMES - 1) // sizes.temporal_downscale_ratio + 1
        side = SIDE // sizes.spacial_downscale_ratio
        self._shape = (1, sizes.latent_channels, frames, side, side)

    def ways(self, specs: Sequence[ClipSpec], combined: dict[str, Any]) -> list[Variant]:
        """All ways, base first; EasyCache's threshold is searched so that it evaluates as often as Leap."""
        base = variants.base(self._loaded.model)
        leap = variants.leap(base, variants.LEAP, variants.leap_defaults())
        wanted = self._evaluations(leap, specs)
        similar, half, whole = variants.similar_defaults(), variants.FIRST_HALF, variants.WHOLE
        merged = variants.merge(base, variants.BOTH, combined["merge"], combined["window"])
        fixed = {"mode": "fixed", "step": self._steps // 2}
        ways = [
            base,
            leap,
            variants.leap(base, variants.LEAP_FIXED, fixed),
            variants.easycache(base, variants.EASYCACHE),
            self._easycache_at(base, wanted, specs),
            variants.leap(merged, variants.BOTH, combined["leap"]),
        ]
        if not self._grid.merging:
            return ways
        return [
            *ways,
            variants.merge(base, variants.PAIRS, {"mode": "pairs"}, half),
            variants.merge(base, variants.SIMILAR, similar, half),
            variants.merge(base, variants.PAIRS_WHOLE, {"mode": "pairs"}, whole),
            variants.merge(base, variants.SIMILAR_WHOLE, similar, whole),
        ]

    def compare(self, ways: Sequence[Variant], specs: Sequence[ClipSpec]) -> list[list[dict[str, Any]]]:
        """Per way and prompt: times, and the clip against the clip of the first way."""
        clips: list[list[dict[str, Any]]] = [[] for _ in ways]
        for way in ways:  # first calls allocate
            self.make(way, specs[0], FIRST_SEED)
        for index, spec in enumerate(tqdm(specs, f"videos on {self._grid.name} grid")):
            made: dict[int, Made] = {}
            for turn in range(len(ways)):
                number = (index + turn) % len(ways)
                made[number] = self.make(ways[number], spec, FIRST_SEED + index)
            for number in range(len(ways)):
                clips[number].append(scores(made[number], made[0], spec))
        return clips

    def make(self, way: Variant, spec: ClipSpec, seed: int) -> Made:
        """One video of the model's default size, through text encoder, sampler and decoder."""
        rows = [0]

        def count(executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
            rows[0] += x.shape[0]
            return executor(x, *args, **kwargs)

        model = way.model.clone()
        # The last wrapper is the innermost: it sees what EasyCache lets through.
        model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, KEY, count)
        noise = torch.randn(self._shape, generator=torch.Generator().manual_seed(seed))
        started = now()
        positive, negative = (self._encode(text, spec.motion_score) for text in (spec.caption, ""))
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(GUIDANCE)
        sampling = now()
        latent = guider.sample(
            noise, torch.zeros_like(noise), way.sampler, self._sigmas, disable_pbar=True, seed=seed
        )
        sampled = now()
        clip = self._loaded.vae.decode(latent)[0]
        decoded = now()
        # Guidance evaluates two rows, asked and unasked: together they are one evaluation.
        return Made(clip.float().cpu(), latent, rows[0] / 2, sampled - sampling, decoded - started)

    def _encode(self, text: str, score: float) -> Any:
        clip = self._loaded.clip
        conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
        for _, options in conditioning:
            options[MOTION_KEY] = float(score)
        return conditioning

    def _evaluations(self, way: Variant, specs: Sequence[ClipSpec]) -> float:
        made = [self.make(way, spec, FIRST_SEED + index) for index, spec in enumerate(specs)]
        return sum(one.evaluations for one in made) / len(made)

    def _easycache_at(self, base: Variant, wanted: float, specs: Sequence[ClipSpec]) -> Variant:
        """EasyCache with the threshold whose evaluations come nearest to `wanted`, by bisection."""
        low, high = 0.0, 1.0
        best, distance = base, math.inf
        for _ in tqdm(range(7), "EasyCache's threshold"):
            middle = (low + high) / 2
            way = variants.easycache(base, variants.EASYCACHE_EQUAL, round(middle, 4))
            evaluations = self._evaluations(way, specs)
            if abs(evaluations - wanted) < distance:
                best, distance = way, abs(evaluations - wanted)
            # A higher threshold reuses more and evaluates less.
            low, high = (middle, high) if evaluations > wanted else (low, middle)
        return best


def scores(made: Made, base: Made, spec: ClipSpec) -> dict[str, Any]:
    """Figures of one clip; `psnr` is None where the clip equals the base."""
    seen = detect(made.clip)
    decibels = psnr(base.clip, made.clip)
    return {
        "evaluations": made.evaluations,
        "seconds": made.seconds,
        "whole_seconds": made.whole_seconds,
        "psnr": None if math.isinf(decibels) else decibels,
        "ssim": ssim(base.clip, made.clip),
        "motion": motion(made.clip),
        "flicker": flicker(made.clip),
        **{f"{name}_found": getattr(seen, name) == getattr(spec, name) for name in ADHERENCE},
    }
