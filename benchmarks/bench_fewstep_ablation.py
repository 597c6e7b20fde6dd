"""The ablation of SF-V and SnapGen-V on our data: which heads, and with or without reconstruction.

`make bench-fewstep-ablation` trains every recipe `ablation_*.json` for its few hundred steps (a stopped run
goes on), from the trajectories of the shipped student, and judges its clips of held-out prompts. Short runs
compare recipes; how far training gets is bench_fewstep.py's matter.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from bench_fewstep import PARENT, Way, clips_of, judged, rendered
from comfyui_pocketvideo.pocketvideo.eval.frechet import clip_features
from comfyui_pocketvideo.pocketvideo.models import load_model
from comfyui_pocketvideo.pocketvideo.models.sampling import shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.data.shapes import held_out_prompts
from comfyui_pocketvideo.pocketvideo.training.fewstep.run import RECIPES, Run, read_recipe, student_model
from report import ROOT, Bar, finish

STEPS = (1, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--until", type=int, help="train to this step only; figures then mean little")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "benchmarks")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parent = load_model(PARENT)
    specs = held_out_prompts(arguments.prompts)
    real = clip_features(parent.vae, rendered(specs, parent))
    guidance, shift = parent.defaults["guidance"], parent.defaults["shift"]
    ways = [Way("teacher, 25", parent, shifted_sigmas(25, shift), guidance, False)]
    seconds = {}
    for path in sorted(RECIPES.glob("ablation_*.json")):
        recipe = read_recipe(path.stem)
        run = Run(recipe, ROOT / "runs" / recipe["name"], PARENT, ROOT / "runs" / recipe["parent"])
        trainer = run.train(arguments.until)
        student = student_model(parent, trainer)
        seconds[recipe["name"]] = round(trainer.seconds)
        for steps in STEPS:
            sigmas = torch.tensor(recipe["sampling"]["sigmas"][str(steps)])
            name = f"{recipe['name'].removeprefix('ablation_').replace('_', ' ')}, {steps}"
            ways.append(Way(name, student, sigmas, 1.0, recipe["sampling"]["kind"] == "renoise"))
    rows = []
    for way in ways:
        videos = clips_of(way, specs, arguments.seeds, arguments.seed)
        rows.append(judged(way, videos, specs * arguments.seeds, real, parent))
    moved = rows[0]["motion"]
    rows = [{**row, "motion": row["motion"] / moved} for row in rows]
    return finish(
        "fewstep-ablation",
        rows,
        [Bar("recipes trained and judged", str(len(seconds)), "7", len(seconds) == 7)],
        results=arguments.results,
        settings={"prompts": len(specs), "seeds": arguments.seeds, "seed": arguments.seed},
        seconds=seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
