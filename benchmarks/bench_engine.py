"""What a memory budget costs. `make bench-engine`: random weights that are held, streamed, or run by torch.

Every way runs in a process of its own; they take turns, a step at a time, so that all see the same machine.
The peak is the system's own count of each process. `--model stdit3_xl2` measures a network of 4.8 GB.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, psnr
from engine import second_export
from engine.cases import Clip, bundle_of, copy_of, inputs_of, spec_of
from engine.fleet import Fleet, Worker
from engine.plot import draw
from engine.sessions import models_with_weights
from engine.summary import (
    COLD,
    FIFTH,
    HALF,
    RESIDENT,
    TORCH,
    Measured,
    export_bars,
    large_bars,
    rows_of,
    speed_bars,
)
from report import RESULTS, ROOT, finish

CACHE = ROOT / ".cache" / "bench-engine"
COMPONENT = "denoiser"
# Two steps measure, the third maps what is held, the fourth is as all that follow.
WARM = 4
LARGE = "stdit3_xl2"
LARGE_LIMIT = 10**9
LARGE_BUDGET = 950 * 10**6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("mobilei2v_270m", LARGE), default="mobilei2v_270m")
    parser.add_argument(
        "--clip",
        type=int,
        nargs=3,
        metavar=("FRAMES", "HEIGHT", "WIDTH"),
        help="default: 17 320 576, or 17 256 448 of the large model",
    )
    parser.add_argument("--bundle", type=Path, help="an export of the model, in place of one made here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=None, help="default: 8, or 1 of the large model")
    parser.add_argument("--steps", type=int, default=1, help="of each way in a round")
    arguments = parser.parse_args()
    large = arguments.model == LARGE
    clip: Clip = tuple(arguments.clip or ((17, 256, 448) if large else (17, 320, 576)))
    rounds = arguments.rounds or (1 if large else 8)
    CACHE.mkdir(parents=True, exist_ok=True)
    for left in CACHE.glob("run-*"):
        # Gigabytes, from a run that was killed.
        shutil.rmtree(left)
    given = arguments.bundle
    bundle = bundle_of(arguments.model, clip, CACHE) if given is None else Bundle.open(given)
    with ExitStack() as stack:
        # Not in /tmp, which may lie in memory: a page cache that is dropped must be read from the disk again.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE, prefix="run-")))
        np.savez(folder / "inputs.npz", **inputs_of(arguments.model, clip))
        fleet = Fleet(folder, stack)
        measure = measure_large if large else measure_small
        extra = measure(fleet, bundle, arguments.model, folder, arguments.threads, rounds, arguments.steps)
        ways = {name: _measured(worker, extra["budgets"]) for name, worker in fleet.workers.items()}
    rows = rows_of(ways)
    name = "engine-large" if large else "engine"
    told = {"model": arguments.model, "clip": clip, "threads": arguments.threads, "rounds": rounds, **extra}
    if not large:
        draw(rows, extra["budgets"], RESULTS / f"{name}.png")
    bars = large_bars(ways, LARGE_LIMIT) if large else speed_bars(ways) + export_bars(extra["exports"])
    return finish(name, rows, bars, **told)


def measure_small(
    fleet: Fleet, bundle: Bundle, model: str, folder: Path, threads: int, rounds: int, steps: int
) -> dict[str, Any]:
    """All ways beside each other; budgets are shares of the peak of holding everything."""
    inputs, home = folder / "inputs.npz", bundle.path("workflow.json").parent
    outputs: dict[str, Path] = {}
    budgets: dict[str, int] = {}

    def start(name: str, own: Path | None = None, **more: Any) -> None:
        outputs[name] = folder / f"output-{len(outputs)}.npy"
        if "budget" in more:
            budgets[name] = more["budget"]
        fleet.start(
            name, spec_of(own or home, COMPONENT, inputs, threads, output=str(outputs[name]), **more), WARM
        )

    start(RESIDENT)
    peak = fleet.workers[RESIDENT].peak
    half, fifth = peak // 2, peak // 5
    start(HALF, budget=half)
    start(FIFTH, budget=fifth)
    start(f"{FIFTH}, never a thread", budget=fifth, prefetch=False)
    start(f"{FIFTH}, always a thread", budget=fifth, prefetch=True)
    start("two buffers and a thread", source="buffers", prefetch=True)
    start("one buffer, no thread", source="buffers", prefetch=False)
    for name, prefetch in ((COLD, None), (f"{COLD}, never a thread", False)):
        own = copy_of(bundle, folder / f"cold-{len(outputs)}")
        start(name, own, source="cold", budget=fifth, prefetch=prefetch)
    (folder / "models").mkdir()
    models = [str(path) for path in models_with_weights(bundle, COMPONENT, folder / "models")]
    (result,) = bundle.manifest["components"][COMPONENT]["outputs"]
    for name, held in (("a session per block, held", True), ("a session per block, made anew", False)):
        start(name, way="sessions", models=models, held=held, result=result)
    start(TORCH, way="torch", preset=model)
    fleet.run(rounds, steps)
    truth = np.load(outputs[RESIDENT])
    cold = fleet.workers[COLD].report
    return {
        "budgets": budgets,
        "psnr_to_torch": round(psnr(np.load(outputs[TORCH]), truth), 1),
        "storage_mb_per_s": round(cold["streamed_bytes"] / 1e6 / max(cold["load_seconds"], 1e-9)),
        "exports": _exports(),
    }


def measure_large(
    fleet: Fleet, bundle: Bundle, model: str, folder: Path, threads: int, rounds: int, steps: int
) -> dict[str, Any]:
    """A network that is far larger than its budget, beside all of it held."""
    inputs, home = folder / "inputs.npz", bundle.path("workflow.json").parent
    fleet.start(RESIDENT, spec_of(home, COMPONENT, inputs, threads), 1)
    name = f"budget of {LARGE_BUDGET // 10**6} MB"
    fleet.start(name, spec_of(home, COMPONENT, inputs, threads, budget=LARGE_BUDGET), 2)
    fleet.run(rounds, steps)
    return {"budgets": {name: LARGE_BUDGET}}


def _measured(worker: Worker, budgets: Mapping[str, int]) -> Measured:
    return Measured(
        worker.rounds, worker.peak, budgets.get(worker.name), worker.report, frozenset(worker.digests)
    )


def _exports() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="exports-") as folder:
        return second_export.measure(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
