"""Few-step students against their teacher: what they show, how they move, what they cost.

`make bench-fewstep`. 64 held-out prompts, judged by the detector of bench_model.py; motion is measured as in
bench_accelerate.py, over all clips. The Frechet distance is to rendered clips of the same prompts
(pocketvideo/eval/frechet.py). Times are of the denoising alone, teacher and student interleaved in one run,
on the desk and in the device's engine.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from comfyui_pocketvideo.mobile_runtime.engine import ProgressEvent, run_bundle
from comfyui_pocketvideo.pocketvideo.eval.adherence import adherence
from comfyui_pocketvideo.pocketvideo.eval.chart import BLUE, ORANGE, Line, Panel, draw_chart
from comfyui_pocketvideo.pocketvideo.eval.frechet import clip_features, frechet_distance
from comfyui_pocketvideo.pocketvideo.eval.metrics import motion
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.few_step import RENOISE, read_card
from comfyui_pocketvideo.pocketvideo.models import PocketModel, load_model
from comfyui_pocketvideo.pocketvideo.models.sampling import generate, shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.data.shapes import (
    ClipSpec,
    draw_spec,
    held_out_prompts,
    render,
)
from report import ROOT, Bar, finish
from tqdm import tqdm

MODELS = ROOT / "models" / "pocketvideo"
PARENT = MODELS / "pocket_shapes.safetensors"
STUDENT = MODELS / "pocket_shapes_few_step.safetensors"
PICTURE = ROOT / "docs" / "benchmarks" / "fewstep.png"
TEACHER_STEPS = 25
BATCH = 8
# Points of a hundred that a student may lose, by its steps; and the motion that has to be kept.
LOSS = {4: 2.0, 2: 4.0, 1: 8.0}
MOTION = {4: 0.05, 2: 0.05}
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path, default=STUDENT)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=2, help="clips per prompt")
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--repetitions", type=int, default=5, help="of the times")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "benchmarks")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    teacher, student = load_model(arguments.student.with_name(PARENT.name)), load_model(arguments.student)
    ways = ways_of(teacher, student)
    specs = held_out_prompts(arguments.prompts)
    real = clip_features(teacher.vae, rendered(specs, teacher))
    rows = []
    for way in ways:
        videos = clips_of(way, specs, arguments.seeds, arguments.seed)
        rows.append(judged(way, videos, specs * arguments.seeds, real, teacher))
    desk = desk_seconds(ways, specs[:BATCH], arguments.repetitions)
    device = device_seconds(arguments.student, ways, arguments.repetitions, arguments.threads)
    rows = with_times(rows, desk, device)
    draw(rows, arguments.picture)
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
        },
        training={key: value for key, value in card["training"].items() if key != "recipe"},
    )


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


def desk_seconds(ways: list[Way], specs: list[ClipSpec], repetitions: int) -> dict[str, float]:
    """Median seconds that the denoising of one clip takes, every way in turn."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(repetitions):
        for way in ways:
            spent = _Watch()
            denoiser = way.model.denoiser
            hooks = [
                denoiser.register_forward_pre_hook(lambda *_, spent=spent: spent.start()),
                denoiser.register_forward_hook(lambda *_, spent=spent: spent.stop()),
            ]
            generate(
                way.model,
                [specs[0].caption],
                seed=7,
                guidance=way.guidance,
                sigmas=way.sigmas,
                renoise=way.renoise,
            )
            for hook in hooks:
                hook.remove()
            times[way.name].append(spent.seconds)
    return {name: statistics.median(found) for name, found in times.items()}


class _Watch:
    """Seconds between pairs of calls, added up."""

    def __init__(self) -> None:
        self.seconds, self._since = 0.0, 0.0

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self._since


class _Steps:
    """Told of a run's progress: the seconds between the begin and the end of its sampling."""

    def __init__(self) -> None:
        self.seconds, self._since = 0.0, 0.0

    def __call__(self, event: ProgressEvent) -> None:
        if event.kind == "denoise" and event.step == 0:
            self._since = time.perf_counter()
        elif event.kind == "denoise" and event.step == event.total:
            self.seconds = time.perf_counter() - self._since


def device_seconds(student: Path, ways: list[Way], repetitions: int, threads: int) -> dict[str, float]:
    """The same in the device's engine, every way in turn: from a denoise op's first step to its last.

    What loads the network before the first step is left out, as it is on the desk.
    """
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bundles = {}
        for number, way in enumerate(ways):
            own = student if way.guidance == 1 else student.with_name(PARENT.name)
            prompt = workflow(way, own.name)
            plan = compile_workflow(prompt, "8", FolderLookups(own, own.parent))
            bundles[way.name] = export_bundle(plan, own, root / str(number), cache_dir=root / "cache")
        for _ in range(repetitions):
            for name, bundle in bundles.items():
                watch = _Steps()
                run_bundle(bundle, {}, threads=threads, output_dir=root / "made", progress=watch)
                times.setdefault(name, []).append(watch.seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def workflow(way: Way, model_name: str) -> dict[str, Any]:
    """Text to video in API format by this way."""

    def node(class_type: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": class_type, "inputs": inputs}

    size = way.model.defaults
    latent = {"width": size["width"], "height": size["height"], "length": size["frames"]}
    prompt = {
        "1": node("PocketVideoModelLoader", model_name=model_name),
        "2": node("CLIPTextEncode", text="a red star moves left on a navy background", clip=["1", 1]),
        "3": node("CLIPTextEncode", text="", clip=["1", 1]),
        "4": node("PocketVideoEmptyLatent", **latent, batch_size=1),
        "10": node("RandomNoise", noise_seed=7),
        "11": node("CFGGuider", model=["1", 0], positive=["2", 0], negative=["3", 0], cfg=way.guidance),
        "12": node("KSamplerSelect", sampler_name="euler"),
        "13": node("ManualSigmas", sigmas=", ".join(f"{float(sigma):.6f}" for sigma in way.sigmas)),
    }
    if way.guidance == 1:
        prompt["11"] = node("BasicGuider", model=["1", 0], conditioning=["2", 0])
        student = {"student": "as the model says", "student.steps": way.steps}
        prompt["12"] = node("PocketVideoFewStepSampler", sampling="as the model says", model=["1", 0])
        prompt["13"] = node("PocketVideoFewStepSchedule", model=["1", 0], **student)
    links = {"noise": ["10", 0], "guider": ["11", 0], "sampler": ["12", 0], "sigmas": ["13", 0]}
    prompt["5"] = node("SamplerCustomAdvanced", **links, latent_image=["4", 0])
    prompt["6"] = node("VAEDecode", samples=["5", 0], vae=["1", 2])
    prompt["7"] = node("CreateVideo", images=["6", 0], fps=12.0)
    prompt["8"] = node("SaveVideo", video=["7", 0], filename_prefix="x", format="auto", codec="auto")
    return prompt


def with_times(
    rows: list[dict[str, Any]], desk: dict[str, float], device: dict[str, float]
) -> list[dict[str, Any]]:
    """Rows with the motion and the times beside the first row's."""
    base = rows[0]
    return [
        {
            **{key: value for key, value in row.items() if key != "motion"},
            "motion ratio": row["motion"] / base["motion"],
            "desk s": desk[row["way"]],
            "desk x": desk[row["way"]] / desk[base["way"]],
            "device s": device[row["way"]],
            "device x": device[row["way"]] / device[base["way"]],
        }
        for row in rows
    ]


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


if __name__ == "__main__":
    sys.exit(main())
