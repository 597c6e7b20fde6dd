"""One process that runs one network in one way, a step when it is told to: `python worker.py SPEC.json`.

Each line on its input is a number of steps; each line that it answers is a JSON object. What it imports is
what its way needs, because all of that is memory which the system counts.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Step = Callable[[], np.ndarray]
Report = Callable[[], dict[str, Any]]


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with np.load(spec["inputs"]) as file:
        inputs = {name: file[name] for name in file.files}
    try:
        step, report = WAYS[spec["way"]](spec, inputs)
        answer({"ready": True})
        for line in sys.stdin:
            seconds = []
            for _ in range(int(line)):
                started = time.perf_counter()
                made = step()
                seconds.append(time.perf_counter() - started)
            digest = hashlib.sha256(np.ascontiguousarray(made)).hexdigest()
            if "output" in spec:
                np.save(spec["output"], made)
            answer({"seconds": seconds, "digest": digest, "report": report()})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        raise


def answer(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


def engine(spec: dict[str, Any], inputs: dict[str, np.ndarray]) -> tuple[Step, Report]:
    """The engine itself, with all weights or with `budget` bytes; `prefetch` None lets it decide."""
    from dataclasses import asdict

    from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
    from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component, SessionOptions

    bundle, name, weights = Bundle.open(spec["bundle"]), spec["component"], None
    if spec["source"] != "engine":
        from engine.sources import BufferedWeights, ColdWeights

        if spec["source"] == "cold":
            weights = ColdWeights(bundle, name, spec["budget"], spec["prefetch"])
        else:
            weights = BufferedWeights(bundle, name, spec["prefetch"])
    elif spec["prefetch"] is not None:
        from comfyui_pocketvideo.mobile_runtime.engine.streaming.budgeted import BudgetedWeights

        weights = BudgetedWeights(bundle, name, spec["budget"], spec["prefetch"])
    component = Component(
        bundle, name, SessionOptions(spec["threads"]), weights, memory_budget=spec["budget"]
    )
    (output,) = component.spec["outputs"]
    return lambda: component.run(inputs)[output], lambda: asdict(component.report())


def sessions(spec: dict[str, Any], inputs: dict[str, np.ndarray]) -> tuple[Step, Report]:
    """A session per stage with its weights inside, as models are usually run; made anew where not `held`."""
    import onnxruntime
    from comfyui_pocketvideo.mobile_runtime.engine.streaming import SessionOptions

    options = SessionOptions(spec["threads"]).build()
    paths = [Path(path) for path in spec["models"]]

    def open_session(path: Path) -> Any:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    kept = {path: open_session(path) for path in paths} if spec["held"] else {}

    def step() -> np.ndarray:
        environment = dict(inputs)
        for path in paths:
            session = kept[path] if path in kept else open_session(path)
            names = [output.name for output in session.get_outputs()]
            made = session.run(names, {one.name: environment[one.name] for one in session.get_inputs()})
            environment.update(zip((name.removesuffix(".next") for name in names), made, strict=True))
            del session
        return environment[spec["result"]]

    return step, lambda: {"held": len(kept), "streamed": len(paths) - len(kept)}


def torch_eager(spec: dict[str, Any], inputs: dict[str, np.ndarray]) -> tuple[Step, Report]:
    """The untouched network in torch, on the same threads."""
    import torch

    from engine.cases import torch_network

    torch.set_num_threads(spec["threads"])
    network = torch_network(spec["preset"])
    given = {name: torch.from_numpy(value) for name, value in inputs.items()}

    def step() -> np.ndarray:
        with torch.inference_mode():
            made: torch.Tensor = network(**given)
        return made.numpy()

    return step, dict


WAYS: dict[str, Callable[[dict[str, Any], dict[str, np.ndarray]], tuple[Step, Report]]] = {
    "engine": engine,
    "sessions": sessions,
    "torch": torch_eager,
}

if __name__ == "__main__":
    main()
