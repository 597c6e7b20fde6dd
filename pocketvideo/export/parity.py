"""The gate that every exported stage and component passes: onnxruntime against torch, on seeded inputs."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from ...mobile_runtime.bundle import psnr
from .errors import ParityError
from .graphs import output_name
from .stages import Component, Stage, size_of

MIN_PSNR = 60.0
# Small, and odd where a network could take odd for even by mistake. The first is also the bundle's self-test.
SIZES = (
    {"batch": 1, "frames": 2, "height": 3, "width": 4, "length": 0},
    {"batch": 2, "frames": 3, "height": 5, "width": 3, "length": 0},
)
Arrays = dict[str, np.ndarray]


def inputs_for(component: Component, size: dict[str, int], seed: int) -> dict[str, Tensor]:
    """Seeded inputs: normal latents, times up to `last_time`, token ids, a mask that hides the last third."""
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, Tensor] = {}
    settings = component.settings(size)
    for name in component.inputs:
        if name in settings:
            made[name] = settings[name]
            continue
        shape = [size_of(axis, size) for axis in component.axes[name].names]
        if name in ("attention_mask", "context_mask"):
            mask = torch.ones(shape)
            mask[:, max(1, shape[1] - shape[1] // 3) :] = 0
            made[name] = mask.to(component.axes[name].dtype)
        elif name == "input_ids":
            made[name] = torch.randint(0, component.vocabulary, shape, generator=generator)
        elif name == "timestep":
            made[name] = component.last_time * torch.rand(shape, generator=generator)
            made[name][:, 0] = 0
        elif name == "motion":
            made[name] = 1 + 4 * torch.rand(shape, generator=generator)
        elif name == "fps":
            made[name] = 8 + 22 * torch.rand(shape, generator=generator)
        elif name == "image":
            made[name] = 2 * torch.rand(shape, generator=generator) - 1
        else:
            made[name] = torch.randn(shape, generator=generator)
    return made


class Check:
    """Runs a component in torch and in onnxruntime side by side, stage by stage, at every size."""

    def __init__(self, component: Component, lengths: int) -> None:
        self.component = component
        sizes = [{**size, "length": lengths} for size in SIZES]
        self.inputs = [inputs_for(component, size, 20 + index) for index, size in enumerate(sizes)]
        self.torch_values = [dict(values) for values in self.inputs]
        self.onnx_values: list[Arrays] = [
            {name: value.numpy() for name, value in values.items()} for values in self.inputs
        ]
        self.sessions: dict[str, onnxruntime.InferenceSession] = {}
        self.worst = float("inf")

    def stage(self, stage: Stage, module: torch.nn.Module, graph: Path, weights: Arrays) -> float:
        """Run one stage both ways from the same inputs; the worst PSNR, or `ParityError`."""
        session = self.sessions.get(stage.graph) or self._open(stage.graph, graph)
        worst = float("inf")
        for torch_values, onnx_values in zip(self.torch_values, self.onnx_values, strict=True):
            given = [torch_values[name] for name in stage.inputs]
            with torch.no_grad():
                made = module(*given)
            expected = [value.numpy() for value in (made if isinstance(made, tuple) else (made,))]
            arrays = {name: value.numpy() for name, value in zip(stage.inputs, given, strict=True)}
            for name, value, truth in zip(
                stage.outputs, self._run(session, stage, arrays, weights), expected, strict=True
            ):
                worst = min(worst, self._judge(value, truth, f"stage {stage.weights}, output {name}"))
            chained = self._run(session, stage, {name: onnx_values[name] for name in stage.inputs}, weights)
            onnx_values.update(zip(stage.outputs, chained, strict=True))
            torch_values.update(
                {name: torch.from_numpy(value) for name, value in zip(stage.outputs, expected, strict=True)}
            )
        self.worst = min(self.worst, worst)
        return worst

    def finish(self) -> float:
        """Compare the whole chain in onnxruntime with the untouched network; raises `ParityError`."""
        for given, onnx_values in zip(self.inputs, self.onnx_values, strict=True):
            for name, truth in self._expected(given).items():
                self.worst = min(self.worst, self._judge(onnx_values[name], truth, f"output {name}"))
        return self.worst

    def self_test(self) -> Arrays:
        """Inputs and expected outputs of the first size, named as a bundle's self-test names them."""
        given = self.inputs[0]
        name = self.component.name
        tensors = {f"{name}.in.{key}": value.numpy() for key, value in given.items()}
        tensors |= {f"{name}.out.{key}": value for key, value in self._expected(given).items()}
        return tensors

    def _expected(self, given: dict[str, Tensor]) -> Arrays:
        """What the untouched network makes of these inputs, by the names of the outputs."""
        with torch.no_grad():
            made = self.component.reference(**given)
        values = made if isinstance(made, tuple) else (made,)
        return {
            name: np.ascontiguousarray(value.numpy())
            for name, value in zip(self.component.outputs, values, strict=True)
        }

    def _open(self, name: str, graph: Path) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        self.sessions[name] = onnxruntime.InferenceSession(
            graph.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        return self.sessions[name]

    def _run(
        self, session: onnxruntime.InferenceSession, stage: Stage, arrays: Arrays, weights: Arrays
    ) -> list[np.ndarray]:
        feed = {
            value.name: weights[value.name] if value.name in weights else arrays[value.name]
            for value in session.get_inputs()
        }
        made: list[np.ndarray] = session.run([output_name(stage, name) for name in stage.outputs], feed)
        return made

    def _judge(self, actual: np.ndarray, expected: np.ndarray, what: str) -> float:
        figure = psnr(actual, expected) if actual.shape == expected.shape else float("-inf")
        if figure < MIN_PSNR:
            raise ParityError(
                f"The exported {self.component.name} differs from its torch source at {what}: "
                f"{figure:.1f} dB where {MIN_PSNR:.0f} dB are needed; do not use this export and report it."
            )
        return figure
