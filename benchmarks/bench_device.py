"""Does the device make the desk's video? `make bench-device`: the quickstart, exported, run without torch.

Torch's own sampling loop (pocketvideo/models/sampling.py) is the truth here; `make demo` and tests/host
compare with the real ComfyUI. Times are of one run on one machine, both sides on the same threads.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.mobile_runtime.engine.rng import normal
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.models import load_model
from comfyui_pocketvideo.pocketvideo.models.sampling import generate
from report import ROOT, Bar, finish
from tqdm import tqdm

MODEL = ROOT / "models" / "pocketvideo" / "pocket_shapes.safetensors"
PROMPTS = (
    "a red star moves left on a navy background",
    "a yellow ring grows on a forest background",
    "a white square spins on a maroon background",
    "a cyan circle falls on a black background",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2, help="per prompt")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_model(MODEL)
    rows, agreements, evaluations = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        cache, target = Path(folder) / "cache", Path(folder) / "bundle"
        plan = compile_workflow(quickstart(model.defaults), "8", FolderLookups(MODEL, MODEL.parent))
        exports = []
        for name in ("first export", "second export"):
            started = time.perf_counter()
            bundle = export_bundle(plan, MODEL, target, cache_dir=cache)
            exports.append(time.perf_counter() - started)
            size = sum(entry["bytes"] for entry in bundle.files.values())
            rows.append({"stage": name, "seconds": exports[-1], "bytes": size, "PSNR dB": ""})
        tested = time.perf_counter()
        self_test(bundle)
        rows.append(
            {"stage": "self-test", "seconds": time.perf_counter() - tested, "bytes": "", "PSNR dB": ""}
        )
        desk_seconds, device_seconds = [], []
        jobs = [(prompt, seed) for prompt in PROMPTS for seed in range(arguments.seeds)]
        for prompt, seed in tqdm(jobs, "clips"):
            started = time.perf_counter()
            video = generate(model, [prompt], seed=seed)
            desk_seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
            result = run_bundle(
                bundle,
                {"prompt": prompt, "seed": str(seed)},
                threads=arguments.threads,
                output_dir=Path(folder),
            )
            device_seconds.append(time.perf_counter() - started)
            evaluations = result.evaluations
            truth = (255 * ((video[0] + 1) / 2).clamp(0, 1)).permute(1, 2, 3, 0).numpy()
            agreements.append(min(psnr(a, b) for a, b in zip(result.frames, truth, strict=True)))
    for name, seconds in (
        ("desk (torch), a clip", desk_seconds),
        ("device (engine), a clip", device_seconds),
    ):
        rows.append({"stage": name, "seconds": float(np.median(seconds)), "bytes": "", "PSNR dB": ""})
    rows.append({"stage": "worst frame of all clips", "seconds": "", "bytes": "", "PSNR dB": min(agreements)})
    worst = noise_error()
    bars = [
        Bar(
            "worst frame, device against desk, same seed",
            f"{min(agreements):.1f} dB",
            "40 dB or more",
            min(agreements) >= 40,
        ),
        Bar("noise against torch, 1,000 seeds and sizes", f"{worst:.1e}", "1e-6 or less", worst <= 1e-6),
    ]
    return finish("device", rows, bars, threads=arguments.threads, evaluations_per_clip=evaluations)


def noise_error(count: int = 1000) -> float:
    """The largest difference to torch's CPU generator over seeds of up to 64 bits and many sizes."""
    draw, worst = random.Random(0), 0.0
    for index in tqdm(range(count), "seeds"):
        seed = draw.choice((index, draw.randrange(2**32), draw.randrange(2**64), 2**64 - 1 - index))
        size = draw.choice((draw.randrange(1, 64), draw.randrange(1, 5000)))
        truth = torch.randn((size,), generator=torch.Generator().manual_seed(seed)).numpy()
        worst = max(worst, float(np.abs(normal(seed, (size,)) - truth).max()))
    return worst


def quickstart(defaults: dict) -> dict:
    """The quickstart's graph in API format at the model's own size."""

    def node(class_type: str, **inputs: object) -> dict:
        return {"class_type": class_type, "inputs": inputs}

    return {
        "1": node("PocketVideoModelLoader", model_name=MODEL.name),
        "2": node("CLIPTextEncode", text=PROMPTS[0], clip=["1", 1]),
        "3": node("CLIPTextEncode", text="", clip=["1", 1]),
        "4": node(
            "PocketVideoEmptyLatent",
            width=defaults["width"],
            height=defaults["height"],
            length=defaults["frames"],
            batch_size=1,
        ),
        "5": node(
            "KSampler",
            model=["1", 0],
            positive=["2", 0],
            negative=["3", 0],
            latent_image=["4", 0],
            seed=0,
            steps=defaults["steps"],
            cfg=defaults["guidance"],
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        ),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "8": node(
            "PocketVideoSendToDevice", images=["6", 0], fps=defaults["fps"], device="the paired device"
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
