"""What fewer bits and other forms of attention save and cost. `make bench-precision`.

The demo model in every precision, a linear and a softmax block of mobilei2v_270m with random weights in every
precision, and the same blocks in every form. Ways take turns, so that all see the same machine; times are
medians. The peak of a form is the system's count of a process that runs the block once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from bench_device import MODEL, PROMPTS, quickstart
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.mobile_runtime.engine.streaming import SessionOptions
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.cache import ExportCache, code_fingerprint
from comfyui_pocketvideo.pocketvideo.export.components import graph_key
from comfyui_pocketvideo.pocketvideo.export.graphs import export_stage, stage_weights
from comfyui_pocketvideo.pocketvideo.export.layout import HEADS, LAYOUTS, USUAL, Form
from comfyui_pocketvideo.pocketvideo.export.layout_stages import shaped
from comfyui_pocketvideo.pocketvideo.export.parity import inputs_for
from comfyui_pocketvideo.pocketvideo.export.precision import GATES, describe, parse_precision
from comfyui_pocketvideo.pocketvideo.export.precision_graphs import formats, pack, rewrite
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS
from comfyui_pocketvideo.pocketvideo.models import load_model
from comfyui_pocketvideo.pocketvideo.models.sampling import generate
from report import ROOT, Bar, finish
from tqdm import tqdm

CACHE = ROOT / ".cache" / "bench-precision"
PRESET = "mobilei2v_270m"
PRECISIONS = ("fp32", "fp16", "int8", "int4", "auto")
KINDS = ("linear", "softmax")
# The sizes of weights to be beaten, as shares of float32.
SHARES = {"fp16": 0.52, "int8": 0.32, "int4": 0.22}
Arrays = dict[str, np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clip", type=int, nargs=3, default=(17, 256, 448), help="of the precisions' blocks")
    parser.add_argument("--large", type=int, nargs=3, default=(17, 720, 1280), help="of the forms' blocks")
    parser.add_argument("--only", choices=("model", "blocks", "forms"))
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of is not None:
        print(peak_of(arguments.peak_of, arguments.threads))
        return 0
    torch.set_num_threads(arguments.threads)
    status = 0
    if arguments.only in (None, "model"):
        status |= model(arguments.threads)
    if arguments.only in (None, "blocks"):
        status |= blocks(tuple(arguments.clip), arguments.threads, arguments.rounds)
    if arguments.only in (None, "forms"):
        status |= forms(tuple(arguments.large), arguments.threads, arguments.rounds)
    return status


def model(threads: int) -> int:
    """The demo model: sizes, a clip's seconds, and how far its frames are from torch's."""
    desk = load_model(MODEL)
    plan = compile_workflow(quickstart(desk.defaults), "8", FolderLookups(MODEL, MODEL.parent))
    seconds: dict[str, list[float]] = {level: [] for level in PRECISIONS}
    likeness: dict[str, list[float]] = {level: [] for level in PRECISIONS}
    with tempfile.TemporaryDirectory() as folder:
        bundles = {
            level: export_bundle(
                plan,
                MODEL,
                Path(folder) / level,
                cache_dir=CACHE / "exports",
                precision=parse_precision(level),
            )
            for level in tqdm(PRECISIONS, "exports")
        }
        found = {level: self_test(bundle, threads=threads) for level, bundle in bundles.items()}
        for seed, prompt in enumerate(tqdm(PROMPTS, "clips")):
            video = generate(desk, [prompt], seed=seed)
            truth = (255 * ((video[0] + 1) / 2).clamp(0, 1)).permute(1, 2, 3, 0).numpy()
            for level, bundle in bundles.items():
                inputs = {"prompt": prompt, "seed": str(seed)}
                started = time.perf_counter()
                frames = run_bundle(bundle, inputs, threads=threads, output_dir=Path(folder)).frames
                seconds[level].append(time.perf_counter() - started)
                likeness[level].append(min(psnr(a, b) for a, b in zip(frames, truth, strict=True)))
    rows, sizes = [], {}
    for level, bundle in bundles.items():
        parts = bundle.manifest["components"]
        sizes[level] = sum(
            bundle.files[stage["weights"]]["bytes"] for part in parts.values() for stage in part["stages"]
        )
        stages = [stage.get("precision", "fp32") for stage in parts["denoiser"]["stages"]]
        rows.append(
            {
                "precision": level,
                "the denoiser's stages": describe(stages),
                "weights MB": sizes[level] / 1e6,
                "s a clip": float(np.median(seconds[level])),
                "denoiser dB": round(found[level]["denoiser"].psnr, 1),
                "text encoder dB": round(found[level]["text_encoder"].psnr, 1),
                "VAE decoder dB": round(found[level]["vae_decoder"].psnr, 1),
                "worst frame dB": round(min(likeness[level]), 1),
                "median clip's worst frame dB": round(float(np.median(likeness[level])), 1),
            }
        )
    bars = []
    for level, share in SHARES.items():
        worst = min(report.psnr for report in found[level].values())
        bars.append(
            Bar(
                f"{level}, worst component",
                f"{worst:.1f} dB",
                f"{GATES[level]:.0f} dB or more",
                worst >= GATES[level],
            )
        )
        got = sizes[level] / sizes["fp32"]
        bars.append(Bar(f"{level}, size", f"{got:.1%} of fp32", f"{share:.0%} or less", got <= share))
    bars.append(
        Bar(
            "fp16, worst frame, device against desk",
            f"{min(likeness['fp16']):.1f} dB",
            "40 dB or more",
            min(likeness["fp16"]) >= 40,
        )
    )
    return finish("precision", rows, bars, threads=threads, clips=len(PROMPTS))


def blocks(clip: tuple[int, int, int], threads: int, rounds: int) -> int:
    """A block of each kind of mobilei2v_270m in every precision."""
    rows, figures = [], {}
    for kind in KINDS:
        block = Block(kind, USUAL, clip)
        names = frozenset(block.weights)
        ways: dict[str, Way] = {"fp32": Way(block.graph, block.weights, block.activations, threads)}
        for level in ("fp16", "int8", "int4"):
            proto = onnx.load_from_string(block.graph)
            chosen = formats(proto, names, level)
            graph = rewrite(proto, chosen, kind)
            ways[level] = Way(graph, pack(block.weights, chosen), block.activations, threads)
        taken = take_turns(ways, rounds, kind)
        for level, way in ways.items():
            figure = psnr(way.run(), block.truth)
            figures[kind, level] = figure
            rows.append(
                {
                    "block": kind,
                    "precision": level,
                    "weights MB": way.bytes / 1e6,
                    "ms": 1e3 * taken[level],
                    "of fp32's time": taken[level] / taken["fp32"],
                    "dB": round(figure, 1),
                }
            )
    bars = [
        Bar(
            f"{level}, worst block",
            f"{min(figures[kind, level] for kind in KINDS):.1f} dB",
            f"{GATES[level]:.0f} dB or more",
            min(figures[kind, level] for kind in KINDS) >= GATES[level],
        )
        for level in ("fp32", "fp16", "int8", "int4")
    ]
    return finish("precision-blocks", rows, bars, threads=threads, clip=list(clip), tokens=block.tokens)


def forms(clip: tuple[int, int, int], threads: int, rounds: int) -> int:
    """A block of each kind of mobilei2v_270m in every form, at a size where scores fill the memory."""
    rows, worst = [], float("inf")
    for kind in KINDS:
        ways: dict[str, Way] = {}
        peaks: dict[str, float] = {}
        figures: dict[str, float] = {}
        for form in tqdm([Form(layout, heads) for layout in LAYOUTS for heads in HEADS], f"{kind} forms"):
            block = Block(kind, form, clip)
            way = Way(block.graph, block.weights, block.activations, threads)
            figures[str(form)] = psnr(way.run(), block.truth)
            peaks[str(form)] = block.peak(threads)
            ways[str(form)] = way
        worst = min(worst, *figures.values())
        taken = take_turns(ways, rounds, kind)
        for name in ways:
            layout, heads = name.split(",")
            rows.append(
                {
                    "block": kind,
                    "layout": layout,
                    "heads": heads,
                    "ms": 1e3 * taken[name],
                    "of the usual time": taken[name] / taken[str(USUAL)],
                    "peak MB": peaks[name],
                    "dB": round(figures[name], 1),
                }
            )
    bars = [Bar("worst form against torch", f"{worst:.1f} dB", "60 dB or more", worst >= GATES["fp32"])]
    return finish("attention-forms", rows, bars, threads=threads, clip=list(clip), tokens=block.tokens)


class Block:
    """A block of the preset in a form: its graph, its weights, and what it is given and gives at a clip."""

    def __init__(self, kind: str, form: Form, clip: tuple[int, int, int]) -> None:
        preset = RANDOM_PRESETS[PRESET]
        part = shaped(preset.component(0), form)
        index = [stage.graph for stage in part.stages].index(kind)
        stage, first = part.stages[index], part.stages[0]
        key = graph_key(code_fingerprint(), part.name, [preset.identity, str(form)], stage.graph)
        self.graph = (
            ExportCache(CACHE / "exports")
            .graph(key, lambda: export_stage(stage, part.axes, kind))
            .read_bytes()
        )
        frames, height, width = preset.grid(*clip)
        self.tokens = frames * height * width
        size = {"batch": 1, "frames": frames, "height": height, "width": width, "length": preset.length}
        values = inputs_for(part, size, 0)
        module = stage.build()
        with torch.no_grad():
            made = first.build()(*(values[name] for name in first.inputs))
            values |= dict(zip(first.outputs, made, strict=True))
            self.truth = module(*(values[name] for name in stage.inputs)).numpy()
        self.activations = {name: np.ascontiguousarray(values[name].numpy()) for name in stage.inputs}
        self.weights = {
            name: np.ascontiguousarray(value.numpy()) for name, value in stage_weights(module).items()
        }

    def peak(self, threads: int) -> float:
        """MB at most of a process that runs the block once, beyond what it had with its inputs."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "graph.onnx").write_bytes(self.graph)
            np.savez(Path(folder) / "values.npz", **self.weights, **self.activations)
            command = [sys.executable, __file__, "--peak-of", folder, "--threads", str(threads)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            return float(told.strip().splitlines()[-1])


class Way:
    """One graph with its weights, ready to run."""

    def __init__(self, graph: bytes, weights: Mapping[str, np.ndarray], given: Arrays, threads: int) -> None:
        self.bytes = sum(value.nbytes for value in weights.values())
        self._session = onnxruntime.InferenceSession(
            graph, SessionOptions(threads).build(), providers=["CPUExecutionProvider"]
        )
        values = {**weights, **given}
        self._feed = {value.name: values[value.name] for value in self._session.get_inputs()}

    def run(self) -> np.ndarray:
        """The block's output."""
        made: np.ndarray = self._session.run(None, self._feed)[0]
        return made


def take_turns(ways: Mapping[str, Way], rounds: int, words: str) -> dict[str, float]:
    """Median seconds of each way; all take turns, after one run that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in tqdm(range(rounds + 1), f"{words} rounds"):
        for name, way in ways.items():
            started = time.perf_counter()
            way.run()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def peak_of(folder: Path, threads: int) -> float:
    """In a process of its own: MB that running the graph in this folder once adds at most."""
    from comfyui_pocketvideo.mobile_runtime.engine.memory import PeakMeter, rss_bytes

    with np.load(folder / "values.npz") as values:
        way = Way((folder / "graph.onnx").read_bytes(), {}, dict(values), threads)
    meter = PeakMeter()
    meter.restart()
    before = rss_bytes() or 0
    way.run()
    return (meter.now() - before) / 1e6


if __name__ == "__main__":
    sys.exit(main())
