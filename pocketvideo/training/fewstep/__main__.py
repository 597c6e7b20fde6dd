"""`python -m comfyui_pocketvideo.pocketvideo.training.fewstep`: a few-step student from a many-step model.

Stages: `trajectories` (the teacher's own ways), `train`, `pack` (one file with its card). Every stage goes on
where it was stopped, even by a kill.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

STAGES = ("trajectories", "train", "pack")
TRACKERS = ("tensorboard",)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="comfyui_pocketvideo.pocketvideo.training.fewstep", description=__doc__
    )
    parser.add_argument(
        "--recipe", default="pocket_shapes_few_step", help="a name in fewstep/recipes/ or a JSON file"
    )
    parser.add_argument("--run", type=Path, help="folder for checkpoints (default: runs/NAME)")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--parent", type=Path, help="the parent's model file (default: models/pocketvideo/)")
    parser.add_argument("--parent-run", type=Path, help="the parent's run, with its latents (default: runs/)")
    parser.add_argument(
        "--output", type=Path, help="the student (default: models/pocketvideo/, for a LoRA models/loras/)"
    )
    parser.add_argument("--until", type=int, help="stop after this step; the same command goes on")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument(
        "--shard",
        action="store_true",
        help="with several processes (accelerate launch): keep the networks in pieces, one per process",
    )
    parser.add_argument(
        "--tracker", choices=TRACKERS, help="also write a live view; watch it with tensorboard --logdir"
    )
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    import torch

    from .published import PublishedRun
    from .run import Run, read_recipe

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = read_recipe(arguments.recipe)
    if arguments.shard:
        recipe["train"]["shard"] = True
    if arguments.tracker:
        recipe["train"]["tracker"] = arguments.tracker
    models = Path("models") / "pocketvideo"
    directory = arguments.run or Path("runs") / recipe["name"]
    run: Run | PublishedRun
    if "published" in recipe:
        run, models = PublishedRun(recipe, directory), Path("models") / "loras"
    else:
        parent = arguments.parent or models / f"{recipe['parent']}.safetensors"
        run = Run(recipe, directory, parent, arguments.parent_run or Path("runs") / recipe["parent"])
    stages = STAGES if arguments.stage == "all" else (arguments.stage,)
    try:
        for stage in stages:
            if stage == "trajectories":
                run.trajectories()
            elif stage == "train":
                run.train(arguments.until)
            else:
                target = run.pack(arguments.output or models / f"{recipe['name']}.safetensors")
                logging.getLogger(__name__).info("Wrote %s (%d bytes).", target, target.stat().st_size)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
