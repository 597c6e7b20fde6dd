"""How good is pocket_shapes? 64 held-out prompts, text to video and image to video, judged by a detector.

`make bench-model`. The detector (pocketvideo/eval/adherence.py) reads pixels with geometry alone; rows
"rendered" show what it says of the data itself.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch
from comfyui_pocketvideo.pocketvideo.eval.adherence import adherence
from comfyui_pocketvideo.pocketvideo.eval.sheet import contact_sheet
from comfyui_pocketvideo.pocketvideo.models import load_model
from comfyui_pocketvideo.pocketvideo.models.sampling import generate
from comfyui_pocketvideo.pocketvideo.training.data.shapes import held_out_prompts, render
from report import ROOT, Bar, finish
from tqdm import tqdm

MODEL = ROOT / "models" / "pocketvideo" / "pocket_shapes.safetensors"
BATCH = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--shift", type=float)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--sheets", action="store_true", help="also write docs/images/bench-model-*.png")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    specs = held_out_prompts(64)
    prompts = [spec.caption for spec in specs]
    scores = [spec.motion_score for spec in specs]
    truth = torch.cat([render([spec], model.defaults["frames"], 128, 128) for spec in tqdm(specs, "render")])

    def sample(name: str, first_frames: torch.Tensor | None) -> tuple[torch.Tensor, float]:
        parts, started = [], time.perf_counter()
        for i in tqdm(range(0, len(prompts), BATCH), name):
            window = slice(i, i + BATCH)
            parts.append(
                generate(
                    model,
                    prompts[window],
                    seed=arguments.seed + i,
                    steps=arguments.steps,
                    guidance=arguments.guidance,
                    shift=arguments.shift,
                    motion=scores[window],
                    first_frames=None if first_frames is None else first_frames[window],
                )
            )
        return torch.cat(parts), (time.perf_counter() - started) / len(prompts)

    text, text_seconds = sample("text to video", None)
    image, image_seconds = sample("image to video", truth[:, :, 0])
    kept = [psnr(a, b) for a, b in zip(image[:, :, 0], truth[:, :, 0], strict=True)]
    with torch.no_grad():
        decoded = torch.cat([model.vae.decode(model.vae.encode(part)) for part in truth.split(BATCH)])
    through = [psnr(a, b) for a, b in zip(decoded, truth, strict=True)]

    rows = []
    for name, videos, seconds in (
        ("rendered", truth, 0.0),
        ("rendered, through the VAE", decoded, 0.0),
        ("text to video", text, text_seconds),
        ("image to video", image, image_seconds),
    ):
        clips = [((clip.permute(1, 2, 3, 0) + 1) / 2) for clip in videos]
        rows.append({"clips": name, **adherence(clips, specs), "s/clip": seconds})
    asked = rows[2]
    bars = [
        Bar(f"{key} found in text to video", f"{asked[key]:.1%}", "90% or more", asked[key] >= 0.9)
        for key in ("colour", "shape", "motion")
    ]
    worst, mean = min(kept), sum(kept) / len(kept)
    bars.append(
        Bar(
            "first frame kept by image to video, mean PSNR",
            f"{mean:.1f} dB (worst of {len(kept)}: {worst:.1f} dB)",
            "30 dB or more",
            mean >= 30,
        )
    )
    if arguments.sheets:
        images = ROOT / "docs" / "images"
        images.mkdir(parents=True, exist_ok=True)
        contact_sheet(text[:8], prompts[:8]).save(images / "bench-model-text.png")
        contact_sheet(image[8:16], prompts[8:16]).save(images / "bench-model-image.png")
    return finish(
        "model",
        rows,
        bars,
        settings={"steps": arguments.steps, "seed": arguments.seed, "prompts": len(prompts)},
        first_frame_psnr_worst=round(worst, 2),
        vae_psnr_mean=round(sum(through) / len(through), 2),
    )


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Decibels between pictures in [-1, 1]."""
    error = (a.clamp(-1, 1) - b.clamp(-1, 1)).square().mean() / 4
    return float(-10 * torch.log10(error.clamp_min(1e-12)))


if __name__ == "__main__":
    sys.exit(main())
