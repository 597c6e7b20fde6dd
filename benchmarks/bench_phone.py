"""What the phone's engine takes in a browser. `make bench-phone`: time, memory of tab and GPU.

Steps in WebAssembly and steps of the Python engine take turns on the same threads; a ratio is the median over
the rounds. No phone was measured: this is desktop Chromium, and its GPU is one that works in software.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, psnr
from comfyui_pocketvideo.mobile_runtime.engine import ProgressEvent, run_bundle
from engine.cases import bundle_of, inputs_of
from in_browser.products import products
from in_browser.videos import with_plan
from report import ROOT, Bar, finish

sys.path.append(str(ROOT / "tests"))
from browser.conftest import chromium
from phone_engine import heavy_video
from phone_engine.page import build, engine_page

CACHE = ROOT / ".cache" / "bench-engine"
MODEL, CLIP = "mobilei2v_270m", (17, 320, 576)
# Tokens and widths of the clip's feed-forward layers, which are half of the network.
LARGEST_PRODUCT = ((3, 10, 18), 1152, 5760)
BUDGET = 300 * 10**6
# Of a tab beside the engine's own count: the browser's code, compiled WebAssembly, JavaScript's garbage.
TAB_CONSTANT = 400 * 10**6
RATIO_BAR, PSNR_BAR = 3.0, 40.0
STEPS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bundle", type=Path, help="a bundle with a plan, in place of mobilei2v_270m")
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="browser-") as name:
        folder = Path(name)
        built = build(folder / "built")
        if arguments.bundle is None:
            shape = inputs_of(MODEL, CLIP)["latent"].shape
            bundle = with_plan(bundle_of(MODEL, CLIP, CACHE), folder / "video", shape)
        else:
            bundle = Bundle.open(arguments.bundle)
        times = measure_steps(built, bundle, folder / "steps", arguments.threads, arguments.rounds)
        floor = products(folder / "products", *LARGEST_PRODUCT)
        words = "products of matrices alone, "
        floors = measure_steps(built, floor, folder / "floor", arguments.threads, arguments.rounds, words)
        memory = measure_memory(built, bundle, folder, arguments.threads)
        gpu = measure_gpu(built, folder)
    rows = [*times["rows"], *floors["rows"], *memory["rows"]]
    bars = [*times["bars"], *memory["bars"], *gpu["bars"]]
    told = {"clip": CLIP, "threads": arguments.threads, "rounds": arguments.rounds}
    return finish("phone", rows, bars, model=bundle.manifest["name"], **told)


def measure_steps(
    built: Path, bundle: Bundle, folder: Path, threads: int, rounds: int, what: str = ""
) -> dict[str, Any]:
    """Seconds of a step of both engines, in turns, each with one thread and with `threads`."""
    rows, bars = [], []
    folder.mkdir()
    values = {"steps": STEPS}
    for count in sorted({1, threads}):
        native: list[float] = []
        browser: list[float] = []
        likeness = 0.0
        with engine_page(built, bundle, chromium(), folder / f"profile-{count}") as page:
            page.call("install")
            page.open("wasm", threads=count)
            page.run(values)
            for _ in range(rounds):
                own, frames = _native_step(bundle, count, folder / "out", values)
                native.append(own)
                made, _ = page.run(values)
                browser.append(_step([one["at"] / 1000 for one in page.told() if one["kind"] == "denoise"]))
                likeness = psnr(made, frames)
        ratio = median(ours / theirs for ours, theirs in zip(browser, native, strict=True))
        rows.append(_row(f"{what}WebAssembly, {_words(count)}", browser, ratio))
        rows.append(_row(f"{what}Python engine, {_words(count)}", native, 1.0))
        name = f"time per step in WebAssembly with {_words(count)}, Python engine = 1"
        bars.append(Bar(name, f"{ratio:.2f}", f"{RATIO_BAR:.0f} or less", ratio <= RATIO_BAR))
    name = "frames in WebAssembly against the Python engine's"
    bars.append(Bar(name, f"{likeness:.1f} dB", f"{PSNR_BAR:.0f} dB or more", likeness >= PSNR_BAR))
    return {"rows": rows, "bars": bars}


def measure_memory(built: Path, bundle: Bundle, folder: Path, threads: int) -> dict[str, Any]:
    """What a tab takes with a budget, as Linux counts it, and what the engine itself counts."""
    with engine_page(built, bundle, chromium(), folder / "profile-memory") as page:
        page.call("install")
        page.open("wasm", threads=threads, budgetBytes=BUDGET)
        _, told = page.run({"steps": STEPS + 1})
        tab = page.peak_bytes()
        seconds = _step([one["at"] / 1000 for one in page.told() if one["kind"] == "denoise"])
    report = told["report"]
    weights = report["weights"]["denoiser"]
    row = _row(f"WebAssembly, {_words(threads)}, budget of {BUDGET // 10**6} MB", [seconds], None)
    row |= {"engine's peak MB": round(report["peakBytes"] / 1e6), "tab's peak MB": round(tab / 1e6)}
    row |= {"blocks held": weights["held"], "streamed": weights["streamed"]}
    over = (tab - BUDGET) / 1e6
    within = report["peakBytes"] <= BUDGET
    return {
        "rows": [row],
        "bars": [
            Bar(
                f"peak of heap, buffers and weights of a budget of {BUDGET // 10**6} MB",
                f"{report['peakBytes'] / 1e6:.0f} MB",
                "within the budget",
                within,
            ),
            Bar(
                "peak of the tab, as Linux counts it, above the budget",
                f"{over:.0f} MB",
                f"{TAB_CONSTANT // 10**6} MB or less",
                over * 1e6 <= TAB_CONSTANT,
            ),
        ],
    }


def measure_gpu(built: Path, folder: Path) -> dict[str, Any]:
    """The most that streamed weights take on a GPU."""
    bundle = heavy_video.build(folder / "heavy", width=512)
    block = bundle.files["weights/block_0.safetensors"]["bytes"]
    with engine_page(built, bundle, chromium(), folder / "profile-gpu", gpu=True) as page:
        page.open("webgpu")
        _, told = page.run()
        rest = told["report"]["peakBytes"] - told["report"]["weights"]["denoiser"]["gpuBytes"]
        page.open("webgpu", budgetBytes=rest + int(2.5 * block) + 4 * 2**20)
        _, told = page.run()
    found = told["report"]["weights"]["denoiser"]
    blocks = found["gpuBytes"] / block
    met = found["streamed"] >= heavy_video.BLOCKS and blocks <= 2.1
    name = "weights on the GPU at once, of eight that stream (the narrow layers beside them)"
    return {"bars": [Bar(name, f"{blocks:.2f} blocks", "two blocks", met)]}


def _native_step(
    bundle: Bundle, threads: int, folder: Path, values: dict[str, Any]
) -> tuple[float, np.ndarray]:
    times: list[float] = []

    def note(event: ProgressEvent) -> None:
        if event.kind == "denoise":
            times.append(time.perf_counter())

    result = run_bundle(bundle, values, threads=threads, progress=note, output_dir=folder)
    shutil.rmtree(folder)
    return _step(times), result.frames


def _step(times: list[float]) -> float:
    """The usual step; the first one makes sessions and maps files."""
    return median(after - before for before, after in list(pairwise(times))[1:])


def _words(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _row(way: str, seconds: list[float], ratio: float | None) -> dict[str, Any]:
    return {
        "way": way,
        "s per step": round(median(seconds), 3),
        "times native": "" if ratio is None else f"{ratio:.2f}",
        "engine's peak MB": "",
        "tab's peak MB": "",
        "blocks held": "",
        "streamed": "",
    }


if __name__ == "__main__":
    sys.exit(main())
