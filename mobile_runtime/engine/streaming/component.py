"""A network as a chain of stages: one session per graph, weights fed as graph inputs.

An environment of named arrays starts with the component's inputs. Each stage's graph takes every input by
name from the stage's weight file or else from the environment, and puts its outputs back under their names,
so `tokens` is overwritten block by block and one block's session serves all blocks of its kind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime

from ...bundle import Bundle, check_graph
from ..errors import EngineError
from .options import SessionOptions
from .weights import MappedWeights, WeightSource

log = logging.getLogger(__name__)

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
    """One network of a bundle, ready to run.

    Sessions are made at the first run and live as long as this object.
    """

    def __init__(
        self,
        bundle: Bundle,
        name: str,
        options: SessionOptions | None = None,
        weights: WeightSource | None = None,
    ) -> None:
        """Take the component `name` of the bundle. Raises EngineError when the manifest lacks it."""
        if name not in bundle.manifest["components"]:
            raise EngineError(f"The bundle has no component {name!r}; export it again.")
        self.name = name
        self.spec = bundle.manifest["components"][name]
        self._bundle = bundle
        self._options = options or SessionOptions()
        self._weights = weights or MappedWeights(bundle)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def run(
        self, inputs: Mapping[str, np.ndarray], check: Callable[[], None] = _no_check
    ) -> dict[str, np.ndarray]:
        """Run every stage and return the component's outputs.

        `check` is called before each stage and may raise to stop. Raises EngineError naming component,
        stage and tensor.
        """
        environment = {name: inputs[name] for name in self.spec["inputs"] if name in inputs}
        absent = [name for name in self.spec["inputs"] if name not in inputs]
        if absent:
            raise EngineError(
                f"The component {self.name!r} was not given {absent[0]!r}; export the bundle again."
            )
        for number, stage in enumerate(self.spec["stages"]):
            check()
            session = self._session(stage["graph"])
            weights = self._weights.take(stage["weights"])
            try:
                feeds = self._feeds(session, weights, environment, f"stage {number} ({stage['graph']})")
                environment.update(self._run_session(session, feeds, number))
            finally:
                self._weights.release(stage["weights"])
        try:
            return {name: environment[name] for name in self.spec["outputs"]}
        except KeyError as error:
            raise EngineError(
                f"The component {self.name!r} makes no {error}; export the bundle again."
            ) from None

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        if graph not in self._sessions:
            path = self.spec["graphs"][graph]
            data = self._bundle.read(path)
            check_graph(data, path)
            try:
                # From bytes, so that a graph has no folder from which it could read other files.
                self._sessions[graph] = onnxruntime.InferenceSession(
                    data, self._options.build(), providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                raise EngineError(
                    f"onnxruntime {onnxruntime.__version__} cannot load {path} of the component {self.name!r}"
                    f" ({_first_line(error)}); export the bundle again."
                ) from error
            log.debug("loaded %s of %s", graph, self.name)
        return self._sessions[graph]

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
                f"Stage {number} of the component {self.name!r} failed on this device ({_first_line(error)});"
                " try a smaller video or export the bundle again."
            ) from error
        return dict(zip((name.removesuffix(NEXT) for name in names), made, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
