"""A network as a chain of stages: one session per graph, weights fed as graph inputs.

An environment of named arrays starts with the component's inputs. Each stage's graph takes every input by
name from the stage's weight file or else from the environment, and puts its outputs back under their names,
so `tokens` is overwritten block by block and one block's session serves all blocks of its kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import numpy as np
import onnxruntime

from ...bundle import Bundle
from ..errors import EngineError
from .budgeted import BudgetedWeights
from .options import SessionOptions, give_back
from .report import WeightReport
from .sessions import Sessions, first_line
from .weights import MappedWeights, WeightSource

NEXT = ".next"

_NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def _no_check() -> None:
    """Nobody asked to be able to stop."""


class Component:
    """One network of a bundle, ready to run; a context manager.

    Sessions are made by `open` or at the first run. They live until `close` where nobody else keeps them, and
    so do maps and the thread that streams. `loaded` counts the graphs that nobody had kept.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str,
        options: SessionOptions | None = None,
        weights: WeightSource | None = None,
        *,
        memory_budget: int | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """Take the component `name` of the bundle. Raises EngineError when the manifest lacks it.

        `memory_budget` bounds the process's resident memory in bytes; None holds all weights. `weights` is
        another source than these two. `sessions` outlives the component and spares the next one the loading.
        """
        if name not in bundle.manifest["components"]:
            raise EngineError(f"The bundle has no component {name!r}; export it again.")
        self.name = name
        self.spec = bundle.manifest["components"][name]
        self._bundle = bundle
        self._options = options or SessionOptions()
        if weights is None and memory_budget is not None:
            weights = BudgetedWeights(bundle, name, memory_budget)
        self._weights = weights or MappedWeights(bundle)
        self._sessions = Sessions() if sessions is None else sessions
        self._opened: dict[str, onnxruntime.InferenceSession] = {}
        self.loaded = 0

    def open(self) -> None:
        """Load all graphs side by side. With a memory budget leave it: each is loaded when its stage comes.

        Raises EngineError for a graph that onnxruntime cannot load.
        """
        graphs = self.spec["graphs"]
        made = self._sessions.get_all(
            {path: self._bundle.read(path) for path in graphs.values()}, self._options
        )
        self._opened = {graph: made[path][0] for graph, path in graphs.items()}
        self.loaded += sum(fresh for _, fresh in made.values())

    def run(
        self, inputs: Mapping[str, np.ndarray], check: Callable[[], None] = _no_check
    ) -> dict[str, np.ndarray]:
        """Run every stage and return the component's outputs; `run_each` for one evaluation."""
        return self.run_each([inputs], check)[0]

    def run_each(
        self, evaluations: Sequence[Mapping[str, np.ndarray]], check: Callable[[], None] = _no_check
    ) -> list[dict[str, np.ndarray]]:
        """Run several evaluations side by side, stage by stage, and return the outputs of each.

        What each gives is what it would give alone; but a stage's weights are fetched once for all, which is
        half the loading where a guided step has two prompts. `check` is called before each run of a graph and
        may raise to stop. Raises EngineError naming component, stage and tensor.
        """
        environments = [self._environment(inputs) for inputs in evaluations]
        stages = self.spec["stages"]
        shapes = tuple(
            tuple((name, value.shape) for name, value in sorted(environment.items()))
            for environment in environments
        )
        graphs = tuple(stage["graph"] for stage in stages)
        self._weights.begin([stage["weights"] for stage in stages], (graphs, shapes))
        for number, stage in enumerate(stages):
            # Before the weights, so that a budget sees what a first session takes without them.
            session = self._session(stage["graph"])
            where = f"stage {number} ({stage['graph']})"
            weights = self._weights.take(stage["weights"])
            started = time.perf_counter()
            for environment in environments:
                check()
                feeds = self._feeds(session, weights, environment, where)
                environment.update(self._run_session(session, feeds, number))
                # Views keep their file mapped, and a streamed file must go when its stage has run.
                del feeds
            del weights
            self._weights.release(stage["weights"], time.perf_counter() - started)
        self._weights.end()
        try:
            return [
                {name: environment[name] for name in self.spec["outputs"]} for environment in environments
            ]
        except KeyError as error:
            raise EngineError(
                f"The component {self.name!r} makes no {error}; export the bundle again."
            ) from None

    def report(self) -> WeightReport:
        """How the weights came to their stages so far."""
        return self._weights.report()

    def close(self) -> None:
        """Drop sessions, activations and maps and end the thread; after it returns none of them is left."""
        self._weights.close()
        if self._opened:
            self._opened.clear()
            # What stays in the arena would count against the next component's budget.
            give_back()

    def __enter__(self) -> Component:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _environment(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        absent = [name for name in self.spec["inputs"] if name not in inputs]
        if absent:
            raise EngineError(
                f"The component {self.name!r} was not given {absent[0]!r}; export the bundle again."
            )
        return {name: inputs[name] for name in self.spec["inputs"]}

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        if graph not in self._opened:
            path = self.spec["graphs"][graph]
            self._opened[graph], fresh = self._sessions.get(path, self._bundle.read(path), self._options)
            self.loaded += fresh
        return self._opened[graph]

    def _feeds(
        self,
        session: onnxruntime.InferenceSession,
        weights: Mapping[str, np.ndarray],
        environment: Mapping[str, np.ndarray],
        where: str,
    ) -> dict[str, np.ndarray]:
        feeds = {}
        for wanted in session.get_inputs():
            source = weights if wanted.name in weights else environment
            if wanted.name not in source:
                raise EngineError(
                    f"{where} of the component {self.name!r} needs {wanted.name!r}, which neither its weights"
                    " nor an earlier stage gives; export the bundle again."
                )
            value = source[wanted.name]
            dtype = _NUMPY_TYPES.get(wanted.type)
            if source is weights and value.dtype != dtype:
                raise EngineError(
                    f"{where} of the component {self.name!r} needs {wanted.name!r} as {wanted.type} and its"
                    f" weights give {value.dtype}; export the bundle again."
                )
            feeds[wanted.name] = np.asarray(value, dtype, order="C")
        return feeds

    def _run_session(
        self, session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray], number: int
    ) -> dict[str, np.ndarray]:
        names = [output.name for output in session.get_outputs()]
        try:
            made = session.run(names, feeds)
        except Exception as error:
            raise EngineError(
                f"Stage {number} of the component {self.name!r} failed on this device ({first_line(error)});"
                " try a smaller video or export the bundle again."
            ) from error
        return dict(zip((name.removesuffix(NEXT) for name in names), made, strict=True))
