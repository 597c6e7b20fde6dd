"""A finished component in any mix of precisions: its graphs and weights rewritten, run, and compared.

Works on the files of a component in float32, which parity.py has held to torch. On the self-test's inputs the
whole is compared with torch's own output, on the other probes with the float32 chain's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

from ...mobile_runtime.bundle import open_tensors, psnr
from .errors import ExportError
from .graphs import NEXT
from .precision import GATES
from .precision_graphs import Format, formats, pack, rewrite, weights_in_order

Arrays = dict[str, np.ndarray]

PROBES = 3


@dataclass(frozen=True)
class Lowered:
    """What a choice of levels reaches: PSNR in dB of the whole, and of every stage given the right inputs."""

    levels: tuple[str, ...]
    names: tuple[str, ...]
    stages: tuple[float, ...]
    psnr: float

    def good(self, target: float) -> bool:
        """True when the whole reaches its target and every stage the gate of its own level."""
        gates = (GATES[level] for level in self.levels)
        return self.psnr >= target and all(
            figure >= gate for figure, gate in zip(self.stages, gates, strict=True)
        )


class Variants:
    """The stages of one component at any level."""

    def __init__(self, folder: Path, described: Mapping[str, Any], name: str, test: Path, scratch: Path):
        """Take a float32 component.

        Args:
            folder: what the paths in `described` are relative to.
            described: the component as a manifest describes it.
            name: the component's.
            test: its self-test.
            scratch: a folder for weights that are packed while levels are tried.
        """
        self.name, self.stages = name, list(described["stages"])
        self.names = tuple(Path(stage["weights"]).stem for stage in self.stages)
        self._folder, self._scratch = folder, scratch
        self._outputs = tuple(described["outputs"])
        self._paths: dict[str, str] = dict(described["graphs"])
        self._protos: dict[str, onnx.ModelProto] = {}
        self._sessions: dict[bytes, onnxruntime.InferenceSession] = {}
        self._graphs: dict[tuple[str, str, frozenset[str]], tuple[bytes, dict[str, Format]]] = {}
        tensors = open_tensors(test)
        given = {key: np.array(value) for key, value in _named(tensors, f"{name}.in.")}
        self._truth = {key: np.array(value) for key, value in _named(tensors, f"{name}.out.")}
        self._probes = list(probes(given))

    def graph(self, index: int, level: str) -> tuple[str, bytes, dict[str, Format]]:
        """Name and bytes of a stage's graph at a level, and the formats of the weights it asks for."""
        kind = self.stages[index]["graph"]
        kept = self._kept_higher(index)
        if level == "fp32":
            return kind, self._proto(kind).SerializeToString(deterministic=True), {}
        key = (kind, level, kept)
        if key not in self._graphs:
            proto = self._proto(kind)
            above = {"int4": "int8", "int8": "fp16", "fp16": "fp16"}[level]
            chosen = formats(proto, self._weight_names(index), level, dict.fromkeys(kept, above))
            data = rewrite(proto, chosen, f"{self.name}/{kind}") if chosen else proto.SerializeToString()
            self._graphs[key] = (data, chosen)
        return f"{kind}_{level}", *self._graphs[key]

    def weights(self, index: int, level: str) -> Mapping[str, np.ndarray]:
        """A stage's weights at a level, mapped from a file. Raises `ExportError` where they do not fit it."""
        source = self._folder / self.stages[index]["weights"]
        if level == "fp32":
            return open_tensors(source)
        path = self._scratch / self.file_name(index, level)
        if not path.is_file():
            chosen = self.graph(index, level)[2]
            try:
                save_file(pack(open_tensors(source), chosen), path)
            except ValueError as error:
                raise ExportError(
                    f"The stage {self.names[index]} of the {self.name} cannot be stored as {level} ({error});"
                    " choose another precision."
                ) from None
        return open_tensors(path)

    def file_name(self, index: int, level: str) -> str:
        """The file in the scratch folder that `weights` maps, where there are fewer bits than in float32."""
        return f"{index:04}_{level}.safetensors"

    def bytes(self, index: int, level: str) -> int:
        """How much the weights of a stage take at a level."""
        chosen = self.graph(index, level)[2]
        tensors = open_tensors(self._folder / self.stages[index]["weights"])
        return sum(
            chosen[name].bytes(value.shape) if name in chosen else value.nbytes
            for name, value in tensors.items()
        )

    def measure(self, levels: Sequence[str]) -> Lowered:
        """Run the component at these levels beside float32."""
        right = [dict(values) for values in self._probes]
        found = [dict(values) for values in self._probes]
        figures = []
        for index, level in enumerate(levels):
            full, low = self._runner(index, "fp32"), self._runner(index, level)
            worst = float("inf")
            for truth, values in zip(right, found, strict=True):
                expected = full(truth)
                if level != "fp32":
                    alone = low(truth)
                    worst = min(worst, *(psnr(alone[name], expected[name]) for name in expected))
                values.update(low(values))
                truth.update(expected)
            figures.append(worst)
        right[0] |= self._truth
        whole = min(
            psnr(values[name], truth[name])
            for values, truth in zip(found, right, strict=True)
            for name in self._outputs
        )
        return Lowered(tuple(levels), self.names, tuple(figures), whole)

    def sensitivities(self, level: str) -> list[float]:
        """For every stage: the squared error of the whole over its squared peak with this stage at `level`.

        Everything runs in one pass over the stages, so that each file is read once.
        """
        right = [dict(values) for values in self._probes]
        lowered: list[list[Arrays]] = []
        for index in range(len(self.stages)):
            full, low = self._runner(index, "fp32"), self._runner(index, level)
            for earlier in lowered:
                for values in earlier:
                    values.update(full(values))
            lowered.append([{**values, **low(values)} for values in right])
            for values in right:
                values.update(full(values))
        return [
            max(
                10 ** (-psnr(values[name], truth[name]) / 10)
                for values, truth in zip(made, right, strict=True)
                for name in self._outputs
            )
            for made in lowered
        ]

    def _kept_higher(self, index: int) -> frozenset[str]:
        """Of a component of one or two stages: the weights at its two ends, in place of whole stages."""
        if len(self.stages) > 2:
            return frozenset()
        ends = []
        if index == 0:
            ends += weights_in_order(self._proto(self.stages[0]["graph"]), self._weight_names(0))[:1]
        if index == len(self.stages) - 1:
            ends += weights_in_order(self._proto(self.stages[index]["graph"]), self._weight_names(index))[-1:]
        return frozenset(ends)

    def _weight_names(self, index: int) -> frozenset[str]:
        return frozenset(open_tensors(self._folder / self.stages[index]["weights"]))

    def _proto(self, kind: str) -> onnx.ModelProto:
        if kind not in self._protos:
            self._protos[kind] = onnx.load(self._folder / self._paths[kind])
        return self._protos[kind]

    def _runner(self, index: int, level: str) -> Callable[[Arrays], Arrays]:
        """What runs a stage at a level on an environment and gives what it changes in it."""
        data = self.graph(index, level)[1]
        if data not in self._sessions:
            self._sessions[data] = _session(data)
        session, weights = self._sessions[data], self.weights(index, level)
        names = [output.name for output in session.get_outputs()]

        def run(values: Arrays) -> Arrays:
            feed = {
                wanted.name: weights[wanted.name] if wanted.name in weights else values[wanted.name]
                for wanted in session.get_inputs()
            }
            made = session.run(names, feed)
            return dict(zip((name.removesuffix(NEXT) for name in names), made, strict=True))

        return run


def probes(given: Mapping[str, np.ndarray]) -> Iterator[Arrays]:
    """A component's inputs, and more of their kind: newly drawn, at earlier times, in other order."""
    yield dict(given)
    for number in range(1, PROBES):
        generator = np.random.default_rng(number)
        made = dict(given)
        for name, value in given.items():
            if name == "latent":
                made[name] = generator.standard_normal(value.shape, np.float32)
            elif name == "image":
                made[name] = generator.uniform(-1, 1, value.shape).astype(np.float32)
            elif name == "timestep":
                made[name] = value * np.float32(1 - number / PROBES)
            elif name == "input_ids":
                made[name] = generator.permuted(value, axis=-1)
        yield made


def _session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    # One thread pool per graph: a waiting one must not burn the cores of the one that runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _named(tensors: Mapping[str, np.ndarray], prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value
