"""A bundle proves itself: each component must give its recorded outputs for its recorded inputs here."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..bundle import Bundle, open_tensors, psnr
from .errors import SelfTestError
from .progress import Progress, Watch
from .streaming import Component, SessionOptions, Sessions


@dataclass(frozen=True)
class ComponentReport:
    """A component's worst PSNR in dB over its outputs (infinite when equal), its bar, a run's seconds."""

    psnr: float
    min_psnr: float
    seconds: float


def self_test(
    bundle: Bundle,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    memory_budget: int | None = None,
    sessions: Sessions | None = None,
) -> dict[str, ComponentReport]:
    """Run every component that the manifest's self-test names and compare; returns a report per component.

    `memory_budget` bounds the process's resident memory in bytes and `sessions` are kept, as in `run_bundle`.
    Raises SelfTestError naming the component, the figure and the bar; WeightsError for a damaged test file.
    """
    spec = bundle.manifest["self_test"]
    tensors = open_tensors(bundle.path(spec["file"]))
    watch = Watch(progress, cancel)
    reports: dict[str, ComponentReport] = {}
    for number, (name, tolerance) in enumerate(sorted(spec["components"].items())):
        watch.report(name, "self_test", number, len(spec["components"]))
        inputs = _pick(tensors, f"{name}.in.")
        expected = _pick(tensors, f"{name}.out.")
        lacking = sorted(set(bundle.manifest["components"][name]["outputs"]) - expected.keys())
        if lacking:
            raise SelfTestError(
                f"The self-test has no expected {lacking[0]!r} of {name!r}; export the bundle again."
            )
        started = time.perf_counter()
        with Component(
            bundle,
            name,
            SessionOptions(threads),
            memory_budget=memory_budget,
            sessions=sessions if memory_budget is None else None,
        ) as component:
            found = component.run(inputs, watch.check)
        seconds = time.perf_counter() - started
        worst = min(_compare(name, output, found[output], expected[output]) for output in found)
        if not worst >= tolerance["min_psnr"]:
            raise SelfTestError(
                f"The component {name!r} differs from its recorded outputs on this device ({worst:.1f} dB,"
                f" needs {tolerance['min_psnr']:.1f} dB); update onnxruntime or export the bundle again."
            )
        reports[name] = ComponentReport(worst, tolerance["min_psnr"], seconds)
    watch.report("self_test", "self_test", len(reports), len(reports))
    return reports


def _pick(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _compare(component: str, output: str, found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        raise SelfTestError(
            f"The component {component!r} makes {output!r} with the shape {found.shape} instead of"
            f" {expected.shape}; export the bundle again."
        )
    return psnr(found, expected)
