"""The exporter's optimiser takes 1e-8 for 0; what is exported must not."""

import numpy as np
import onnxruntime
import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.graphs import export_stage
from comfyui_pocketvideo.pocketvideo.export.stages import Axes, Stage
from comfyui_pocketvideo.pocketvideo.export.stages_denoiser import denoiser_component

from unit.export.conftest import tiny_model


class Normal(torch.nn.Module):
    """As the LTX VAE normalises: RMS with an epsilon of 1e-8."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-12])
def test_zeros_stay_zeros_where_an_epsilon_says_so(epsilon):
    stage = Stage("norm", "norm", lambda: Normal(epsilon), ("latent",), ("normal",))
    axes = {"latent": Axes(("batch", 4)), "normal": Axes(("batch", 4))}
    graph = export_stage(stage, axes, "norm")
    x = np.array([[0, 0, 0, 0], [1e-5, 0, 0, -1e-5]], np.float32)
    (found,) = onnxruntime.InferenceSession(graph).run(None, {"latent": x})
    np.testing.assert_allclose(found, Normal(epsilon)(torch.from_numpy(x)).numpy(), rtol=1e-5)


def test_a_query_that_meets_no_key_gives_zeros_as_in_torch():
    component = denoiser_component(tiny_model(cross_attention=False).denoiser)
    stage = component.stages[1]
    assert stage.graph == "linear"
    session = onnxruntime.InferenceSession(export_stage(stage, component.axes, "denoiser/linear"))
    module = stage.build()
    module.block.attn.qkv.weight.zero_()
    generator = torch.Generator().manual_seed(0)
    sizes = {"batch": 1, "frames": 2, "height": 2, "width": 3}
    given = {
        name: torch.randn([sizes.get(axis, axis) for axis in component.axes[name].names], generator=generator)
        for name in stage.inputs
    }
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    feeds = {value.name: (given | weights)[value.name].detach().numpy() for value in session.get_inputs()}
    (found,) = session.run(None, feeds)
    with torch.no_grad():
        truth = module(*given.values()).numpy()
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, truth, atol=1e-5)
