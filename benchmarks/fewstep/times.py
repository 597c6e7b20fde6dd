"""How long each way takes, every way in turn: its sampling alone and its whole clip, on desk and device."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyui_pocketvideo.mobile_runtime.engine import Sessions, run_bundle
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.models.sampling import generate

from fewstep.ways import Way


@dataclass(frozen=True)
class Seconds:
    """What a clip takes. `clip` has text, sampling and decoding, and on the device the video file as well."""

    sampling: float
    clip: float


def desk_seconds(ways: list[Way], caption: str, repetitions: int) -> dict[str, Seconds]:
    """Medians in torch, of a model that is loaded. Sampling is what the denoiser takes."""
    found: dict[str, list[Seconds]] = {way.name: [] for way in ways}
    for _ in range(repetitions):
        for way in ways:
            watch = _Watch()
            denoiser = way.model.denoiser
            hooks = [
                denoiser.register_forward_pre_hook(lambda *_, watch=watch: watch.start()),
                denoiser.register_forward_hook(lambda *_, watch=watch: watch.stop()),
            ]
            started = time.perf_counter()
            generate(
                way.model, [caption], seed=7, guidance=way.guidance, sigmas=way.sigmas, renoise=way.renoise
            )
            clip = time.perf_counter() - started
            for hook in hooks:
                hook.remove()
            found[way.name].append(Seconds(watch.seconds, clip))
    return _medians(found)


def device_seconds(
    student: Path, teacher: Path, ways: list[Way], caption: str, repetitions: int, threads: int
) -> dict[str, Seconds]:
    """Medians in the device's engine, of one process that does every job, as the agent does.

    Sampling is the plan's denoise op whole: opening the network is in it, as far as no earlier job did.
    """
    found: dict[str, list[Seconds]] = {way.name: [] for way in ways}
    sessions = Sessions()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bundles = {}
        for number, way in enumerate(ways):
            own = student if way.guidance == 1 else teacher
            plan = compile_workflow(workflow(way, own.name, caption), "8", FolderLookups(own, own.parent))
            bundles[way.name] = export_bundle(plan, own, root / str(number), cache_dir=root / "cache")
        for _ in range(repetitions):
            for name, bundle in bundles.items():
                started = time.perf_counter()
                made = run_bundle(bundle, {}, threads=threads, output_dir=root / "made", sessions=sessions)
                clip = time.perf_counter() - started
                ops = [op["id"] for op in bundle.manifest["plan"] if op["op"] == "denoise"]
                found[name].append(Seconds(sum(made.timings[op] for op in ops), clip))
    return _medians(found)


def _medians(found: dict[str, list[Seconds]]) -> dict[str, Seconds]:
    def median(values: Iterable[float]) -> float:
        return statistics.median(values)

    return {
        name: Seconds(median(one.sampling for one in all_), median(one.clip for one in all_))
        for name, all_ in found.items()
    }


class _Watch:
    """Seconds between pairs of calls, added up."""

    def __init__(self) -> None:
        self.seconds, self._since = 0.0, 0.0

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self._since


def workflow(way: Way, model_name: str, caption: str) -> dict[str, Any]:
    """Text to video in API format by this way."""

    def node(class_type: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": class_type, "inputs": inputs}

    size = way.model.defaults
    latent = {"width": size["width"], "height": size["height"], "length": size["frames"]}
    prompt = {
        "1": node("PocketVideoModelLoader", model_name=model_name),
        "2": node("CLIPTextEncode", text=caption, clip=["1", 1]),
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
