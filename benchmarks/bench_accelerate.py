"""What do Leap and Temporal Token Merge save, and what do they cost? `make bench-accelerate`.

ComfyUI's own Python does the measuring (acceleration/host.py), so that the nodes, the samplers and the
guidance are the real ones; this side makes tables, bars and the picture. Every ratio comes from one run in
which the ways took turns. On a machine with a graphics card ComfyUI uses it, and so does this bench.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from acceleration.plot import draw
from acceleration.summary import attention_bars, attention_rows, shapes_bars, shapes_rows
from report import RESULTS, ROOT, finish

sys.path.append(str(ROOT / "tests"))
from host.server import SHIM, locate

MODEL = ROOT / "models" / "pocketvideo" / "pocket_shapes.safetensors"
HOST = ROOT / "benchmarks" / "acceleration" / "host.py"
PICTURE = ROOT / "docs" / "images" / "bench-accelerate.png"
# Leap and Merge together, chosen for the bar of the two: Leap may leap three steps before its default
# does, and merging, which costs more than it saves at this model's 80 tokens, works in the first three steps.
COMBINED = {
    "leap": {"mode": "adaptive", "minimum": 0.4, "tolerance": 0.001, "patience": 3},
    "merge": {"mode": "similar", "threshold": -1.0, "share": 0.25},
    "window": {"start_percent": 0.0, "end_percent": 0.1},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repetitions", type=int, default=5, help="forward passes of the large models")
    parser.add_argument("--only", choices=("shapes", "attention"), help="measure one half, for trying things")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="one prompt and tiny sequences: does it run? figures mean nothing",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    raw = measure(settings(arguments))
    machine = {key: raw[key] for key in ("device", "torch", "threads")}
    code = 0
    if raw["grids"]:
        rows = shapes_rows(raw["grids"])
        code |= finish(
            "accelerate",
            rows,
            shapes_bars(rows),
            results=arguments.results,
            settings={
                "prompts": len(next(iter(raw["grids"][0]["ways"].values()))["clips"]),
                "steps": raw["grids"][0]["steps"],
                "shifts": {grid["grid"]: round(grid["shift"], 3) for grid in raw["grids"]},
                "ways": {
                    grid["grid"]: {name: way["settings"] for name, way in grid["ways"].items()}
                    for grid in raw["grids"]
                },
                **machine,
            },
        )
        arguments.picture.parent.mkdir(parents=True, exist_ok=True)
        draw(rows, arguments.picture)
    if raw["families"]:
        code |= finish(
            "accelerate-attention",
            attention_rows(raw["families"]),
            attention_bars(raw["families"]),
            results=arguments.results,
            settings={
                "repetitions": len(raw["families"][0]["merge"]),
                "types": {family["family"]: family["dtype"] for family in raw["families"]},
                **machine,
            },
        )
    return code


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the host measures."""
    smoke = arguments.smoke
    shapes = {
        "model_file": str(MODEL),
        "prompts": 1 if smoke else arguments.prompts,
        "steps": 4 if smoke else arguments.steps,
        "calibration": 1 if smoke else min(4, arguments.prompts),
        "combined": COMBINED,
    }
    attention = {
        # An odd number of frames, as every causal video autoencoder gives.
        "frames": 3 if smoke else 17,
        "side": 4 if smoke else 16,
        "blocks": 1 if smoke else 2,
        "repetitions": 1 if smoke else arguments.repetitions,
        "short": {"frames": 3, "side": 4, "repetitions": 1}
        if smoke
        else {"frames": 5, "side": 8, "repetitions": 24},
    }
    return {
        "shapes": None if arguments.only == "attention" else shapes,
        "attention": None if arguments.only == "shapes" else attention,
    }


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Run the host script in ComfyUI's Python and return its raw figures."""
    paths = locate()
    # ComfyUI's environment must not see this one's paths.
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "settings.json", Path(folder) / "result.json"
        asked.write_text(json.dumps(wanted), encoding="utf-8")
        command = [paths.python, SHIM, HOST, paths.comfyui, asked, answer]
        subprocess.run([str(part) for part in command], cwd=paths.comfyui, env=environ, check=True)
        result: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return result


if __name__ == "__main__":
    sys.exit(main())
