"""Few-step students against their teacher: what they show, how they move, what they cost.

`make bench-fewstep`. 64 held-out prompts, judged by the detector of bench_model.py; motion is measured as in
bench_accelerate.py, over all clips. The Frechet distance is to rendered clips of the same prompts
(pocketvideo/eval/frechet.py). Times are of one clip at a time, teacher and student interleaved in one run, on
the desk and in the device's engine: the sampling alone, which fewer steps make faster and which the bars are
about, and the whole clip, to which text, decoding and the video's file belong. Draws a plot, too, and the
first clips of every way.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from comfyui_pocketvideo.pocketvideo.eval.chart import BLUE, ORANGE, Line, Panel, draw_chart
from comfyui_pocketvideo.pocketvideo.eval.frechet import clip_features
from comfyui_pocketvideo.pocketvideo.eval.sheet import Row, draw_rows, spaced_moments
from comfyui_pocketvideo.pocketvideo.models import load_model
from comfyui_pocketvideo.pocketvideo.training.data.shapes import held_out_prompts
from fewstep.times import Seconds, desk_seconds, device_seconds
from fewstep.ways import clips_of, judged, rendered, ways_of
from PIL import Image
from report import ROOT, Bar, finish

MODELS = ROOT / "models" / "pocketvideo"
PARENT = MODELS / "pocket_shapes.safetensors"
STUDENT = MODELS / "pocket_shapes_few_step.safetensors"
PICTURE = ROOT / "docs" / "benchmarks" / "fewstep.png"
CLIPS = ROOT / "docs" / "images" / "bench-fewstep.jpg"
# Points of a hundred that a student may lose, by its steps; and the motion that has to be kept.
LOSS = {4: 2.0, 2: 4.0, 1: 8.0}
MOTION = {4: 0.05, 2: 0.05}
# The picture of clips: the first prompts, so many moments of each, pixels a side.
SHOWN, MOMENTS, SIDE = 4, 3, 112


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path, default=STUDENT)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=2, help="clips per prompt")
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--repetitions", type=int, default=9, help="of the times")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "benchmarks")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the plot")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="the first clips of every way")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    teacher, student = load_model(PARENT), load_model(arguments.student)
    ways = ways_of(teacher, student)
    specs = held_out_prompts(arguments.prompts)
    # Before the clips: hours of other work make no machine faster.
    caption = specs[0].caption
    desk = desk_seconds(ways, caption, arguments.repetitions)
    device = device_seconds(
        arguments.student, PARENT, ways, caption, arguments.repetitions, arguments.threads
    )
    real = clip_features(teacher.vae, rendered(specs, teacher))
    rows, shown = [], []
    for way in ways:
        videos = clips_of(way, specs, arguments.seeds, arguments.seed)
        rows.append(judged(way, videos, specs * arguments.seeds, real, teacher))
        shown.append(videos[:SHOWN])
    rows = with_times(rows, desk, device)
    draw(rows, arguments.picture)
    draw_clips([spec.caption for spec in specs[:SHOWN]], [way.name for way in ways], shown, arguments.clips)
    card = student.config["few_step"]
    return finish(
        "fewstep",
        rows,
        bars_of(rows),
        results=arguments.results,
        settings={
            "prompts": len(specs),
            "seeds": arguments.seeds,
            "seed": arguments.seed,
            "sampling": card["sampling"],
            "sigmas": card["sigmas"],
            "bytes": arguments.student.stat().st_size,
        },
        training={key: value for key, value in card["training"].items() if key != "recipe"},
    )


def with_times(
    rows: list[dict[str, Any]], desk: dict[str, Seconds], device: dict[str, Seconds]
) -> list[dict[str, Any]]:
    """Rows with the motion and the times beside the first row's."""
    base = rows[0]
    made = []
    for row in rows:
        line = {key: value for key, value in row.items() if key != "motion"}
        line["motion ratio"] = row["motion"] / base["motion"]
        for where, all_ in (("desk", desk), ("device", device)):
            own, teachers = all_[row["way"]], all_[base["way"]]
            line[f"{where} s"] = own.sampling
            line[f"{where} x"] = own.sampling / teachers.sampling
            line[f"{where} clip x"] = own.clip / teachers.clip
        made.append(line)
    return made


def bars_of(rows: list[dict[str, Any]]) -> list[Bar]:
    """The promises of the issue, from the rows alone."""
    teacher = rows[0]
    by_name = {row["way"]: row for row in rows}
    bars = []
    for steps, allowed in LOSS.items():
        row = by_name[f"student, {steps} step{'s' if steps > 1 else ''}"]
        lost = {key: 100 * (teacher[key] - row[key]) for key in ("colour", "shape", "direction")}
        worst = max(lost, key=lambda key: lost[key])
        bars.append(
            Bar(
                f"adherence at {steps} step{'s' if steps > 1 else ''} below the teacher, worst of three",
                f"{lost[worst]:.1f} points ({worst})",
                f"{allowed:g} points or less",
                lost[worst] <= allowed + 1e-9,
            )
        )
        if steps in MOTION:
            apart = abs(row["motion ratio"] - 1)
            bars.append(
                Bar(
                    f"motion at {steps} steps",
                    f"{row['motion ratio']:.3f} of the teacher's",
                    f"within {MOTION[steps]:.0%}",
                    apart <= MOTION[steps] + 1e-9,
                )
            )
            few = by_name[f"teacher, {steps} steps"]
            bars.append(
                Bar(
                    f"Frechet distance of the teacher at {steps} steps over the student's",
                    f"{few['Frechet'] / row['Frechet']:.1f} x",
                    "1.5 x or more",
                    few["Frechet"] >= 1.5 * row["Frechet"],
                )
            )
    four = by_name["student, 4 steps"]
    for where in ("desk", "device"):
        spent = four[f"{where} x"]
        bars.append(
            Bar(
                f"time of denoising at 4 steps, {where}",
                f"{spent:.3f} x the teacher's",
                "0.1 x or less",
                spent <= 0.1,
            )
        )
    return bars


def draw(rows: list[dict[str, Any]], target: Path) -> None:
    """Adherence over evaluations, teacher and student."""
    lines = []
    for who, colour in (("teacher", BLUE), ("student", ORANGE)):
        some = [row for row in rows if row["way"].startswith(who)]
        lines.append(Line(who, sorted((row["evaluations"], row["all"]) for row in some), colour))
    panel = Panel(
        title="Clips that show colour, shape and motion as asked",
        x_label="evaluations of the network",
        y_label="fraction of clips",
        lines=lines,
        y_range=(0.0, 1.0),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    draw_chart([panel], 960, 420).save(target)


def draw_clips(captions: list[str], names: list[str], videos: list[torch.Tensor], target: Path) -> None:
    """A row per prompt, a column per way; in a cell, moments of the clip from its first frame to its last."""
    rows = []
    for number, caption in enumerate(captions):
        pictures = [_cell(clips[number]) for clips in videos]
        rows.append(Row(caption, pictures, names))
    target.parent.mkdir(parents=True, exist_ok=True)
    draw_rows(rows).save(target, quality=90)


def _cell(clip: torch.Tensor) -> Image.Image:
    """One clip `[3, T, H, W]` in [-1, 1] as moments below each other."""
    pixels = ((clip.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).cpu().numpy()
    cell = Image.new("RGB", (SIDE, MOMENTS * SIDE))
    for place, moment in enumerate(spaced_moments(len(pixels), MOMENTS)):
        small = Image.fromarray(pixels[moment]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        cell.paste(small, (0, place * SIDE))
    return cell


if __name__ == "__main__":
    sys.exit(main())
