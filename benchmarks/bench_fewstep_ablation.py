"""The ablation of the papers on our data: which heads, with or without reconstruction, distribution matching.

`make bench-fewstep-ablation` trains every recipe `ablation_*.json` for its few hundred steps, from the
trajectories of the shipped student, and judges its clips of held-out prompts. A stopped run goes on: training
from its last checkpoint, judging after the last recipe that was judged. Short runs compare recipes; how far
training gets is bench_fewstep.py's matter. Quality is measured and no time, so it may run beside other work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench_fewstep import PARENT
from comfyui_pocketvideo.pocketvideo.eval.frechet import clip_features
from comfyui_pocketvideo.pocketvideo.models import load_model
from comfyui_pocketvideo.pocketvideo.models.sampling import shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.data.shapes import held_out_prompts
from comfyui_pocketvideo.pocketvideo.training.fewstep.run import RECIPES, Run, read_recipe, student_model
from fewstep.ways import TEACHER_STEPS, Way, clips_of, judged, rendered
from report import ROOT, Bar, finish

STEPS = (1, 2)
RECIPE_NAMES = sorted(path.stem for path in RECIPES.glob("ablation_*.json"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--until", type=int, help="train to this step only; figures then mean little")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the runs")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "benchmarks")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parent = load_model(PARENT)
    specs = held_out_prompts(arguments.prompts)
    real = clip_features(parent.vae, rendered(specs, parent))
    settings = {"prompts": len(specs), "seeds": arguments.seeds, "seed": arguments.seed}

    def judge(way: Way) -> dict[str, Any]:
        videos = clips_of(way, specs, arguments.seeds, arguments.seed)
        return judged(way, videos, specs * arguments.seeds, real, parent)

    guidance, shift = parent.defaults["guidance"], parent.defaults["shift"]
    teacher = Way("teacher, 25", parent, shifted_sigmas(TEACHER_STEPS, shift), guidance, False)
    told = {**settings, "parent": hashlib.sha256(PARENT.read_bytes()).hexdigest()}
    rows = kept(arguments.runs / "ablation_teacher", told, lambda: [judge(teacher)])
    seconds, done = {}, {}
    for name in RECIPE_NAMES:
        recipe = read_recipe(name)
        directory = arguments.runs / name
        trainer = Run(recipe, directory, PARENT, ROOT / "runs" / recipe["parent"]).train(arguments.until)
        seconds[name], done[name] = round(trainer.seconds), trainer.step
        student = student_model(parent, trainer)
        ways = [
            Way(
                f"{name.removeprefix('ablation_').replace('_', ' ')}, {steps}",
                student,
                torch.tensor(recipe["sampling"]["sigmas"][str(steps)]),
                1.0,
                recipe["sampling"]["kind"] == "renoise",
            )
            for steps in STEPS
        ]
        rows += kept(
            directory,
            {**told, "step": trainer.step, "recipe": recipe},
            lambda ways=ways: [judge(way) for way in ways],
        )
    moved = rows[0]["motion"]
    spent = [0, *(seconds[name] for name in RECIPE_NAMES for _ in STEPS)]
    rows = [
        {**row, "motion": row["motion"] / moved, "training s": cost}
        for row, cost in zip(rows, spent, strict=True)
    ]
    wanted = len(RECIPE_NAMES)
    whole = sum(done[name] == read_recipe(name)["train"]["steps"] for name in RECIPE_NAMES)
    return finish(
        "fewstep-ablation",
        rows,
        [Bar("recipes trained to their end and judged", str(whole), str(wanted), whole == wanted)],
        results=arguments.results,
        settings={**settings, "training seed": read_recipe(RECIPE_NAMES[0])["seed"], "steps": done},
    )


def kept(
    directory: Path, settings: dict[str, Any], make: Callable[[], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Rows that an earlier start judged under the same settings, or made now and kept."""
    path = directory / "judged.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["settings"] == settings:
            rows: list[dict[str, Any]] = found["rows"]
            return rows
    made = make()
    directory.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"settings": settings, "rows": made}), encoding="utf-8")
    temporary.replace(path)
    return made


if __name__ == "__main__":
    sys.exit(main())
