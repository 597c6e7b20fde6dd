"""What float16 breaks, and the forms that keep it right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.coreml.forms import coreml_form
from comfyui_pocketvideo.pocketvideo.export.coreml.norms import rms_norm, scale_norms
from comfyui_pocketvideo.pocketvideo.export.forms import deferred
from comfyui_pocketvideo.pocketvideo.export.stages import Axes, Component, Stage
from comfyui_pocketvideo.pocketvideo.models.attention import LinearAttention
from comfyui_pocketvideo.pocketvideo.models.layers import RMSNorm
from diffusers.models.normalization import RMSNorm as DiffusersRMSNorm
from torch import Tensor, nn
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from unit.export.coreml.packages import gated, options

WIDTH, HEADS = 24, 2


class Norm(nn.Module):
    """An RMS norm over any axis, without weights."""

    def __init__(self, eps: float, axis: int = -1) -> None:
        super().__init__()
        self.eps, self.axis = eps, axis

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(self.axis, keepdim=True) + self.eps)


def scaled(module: nn.Module, x: Tensor) -> nn.Module:
    """The module's exported graph with its norm scaled."""
    program = torch.export.export(module.eval(), (x,)).run_decompositions(
        {torch.ops.aten.rms_norm.default: rms_norm}
    )
    assert scale_norms(program.graph) == 1
    program.graph_module.recompile()
    return program.module()


@pytest.mark.parametrize("magnitude", [0.0, 1e-4, 1.0, 300.0, 3e4])
@pytest.mark.parametrize(("eps", "axis"), [(1e-8, -1), (1e-5, -1), (1e-8, 1)])
def test_a_norm_survives_magnitudes_whose_squares_do_not(magnitude: float, eps: float, axis: int) -> None:
    x = magnitude * torch.randn(5, 96, 3, generator=torch.Generator().manual_seed(1)).clamp(-2, 2)
    x = x if axis == 1 else x.transpose(1, 2).contiguous()
    norm = Norm(eps, axis)
    torch.testing.assert_close(scaled(norm, x)(x).double(), norm(x.double()), rtol=1e-5, atol=1e-6)
    half = scaled(norm, x.half())(x.half())
    torch.testing.assert_close(half.double(), norm(x.half().double()), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(
    "norm",
    [
        lambda: RMSNorm(8),
        lambda: nn.RMSNorm(8),
        lambda: nn.RMSNorm(8, eps=1e-6),
        lambda: DiffusersRMSNorm(8, 1e-6),
        lambda: Qwen2RMSNorm(8),
        lambda: T5LayerNorm(8),
    ],
    ids=["ours", "torch", "torch_eps", "diffusers", "qwen2", "t5"],
)
def test_the_norms_of_every_network_are_found(norm: Callable[[], nn.Module]) -> None:
    module = norm().requires_grad_(False)
    for parameter in module.parameters():
        parameter.copy_(torch.linspace(0.5, 1.5, 8))
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(scaled(module, x)(x), module(x), rtol=1e-5, atol=1e-6)


def test_what_only_looks_like_a_norm_stays() -> None:
    class Other(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            inverse = torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
            return x * inverse + inverse

    program = torch.export.export(Other(), (torch.randn(2, 8),))
    before = str(program.graph)
    assert scale_norms(program.graph) == 0 and str(program.graph) == before


def attention_component(attention: LinearAttention) -> Component:
    axes = {
        name: Axes((*lead, "frames", "height", "width", last))
        for name, lead, last in (
            ("tokens", ("batch",), WIDTH),
            ("cos", (), WIDTH // HEADS),
            ("sin", (), WIDTH // HEADS),
            ("out", ("batch",), WIDTH),
        )
    }
    stage = Stage("linear", "block", deferred(_Attend, attention), ("tokens", "cos", "sin"), ("out",))
    return Component(
        "attention",
        "denoiser",
        stage.inputs,
        ("out",),
        (stage,),
        axes,
        lambda **v: attention(v["tokens"], v["cos"], v["sin"]),
    )


class _Attend(nn.Module):
    def __init__(self, attention: LinearAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        out: Tensor = self.attention(tokens, cos, sin)
        return out


def attention(gain: float) -> LinearAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = LinearAttention(WIDTH, HEADS)
    for norm in (made.q_norm, made.k_norm):
        norm.weight.data.fill_(gain)
    return made.eval().requires_grad_(False)


def test_sums_over_many_tokens_stay_within_float16(tmp_path: Path) -> None:
    """4096 keys of size 3 and twelve channels: their product with a query passes 65504."""
    source = attention(3.0)
    x = torch.randn(4096, WIDTH, generator=torch.Generator().manual_seed(2))
    q, k, _ = source.qkv(x).chunk(3, dim=-1)
    product = source.q_norm(q).relu()[:, :12] @ source.k_norm(k).relu()[:, :12].sum(0)
    assert product.max() > 65504, "this test no longer shows what it is about"
    assert gated(attention_component(source), tmp_path, options("4x32x32"), "block")["block"] > 50


def test_a_query_that_meets_no_key_gives_zero(tmp_path: Path) -> None:
    source = attention(1.0)
    source.qkv.weight[:WIDTH] = 0
    source.proj.bias.copy_(torch.linspace(-1, 1, WIDTH))
    assert gated(attention_component(source), tmp_path, options("2x3x4"), "block")["block"] > 50


def test_the_form_of_a_module_computes_the_same() -> None:
    source = attention(1.0)
    build = deferred(_Attend, source)
    tokens = torch.randn(1, 2, 3, 4, WIDTH)
    cos, sin = torch.randn(2, 2, 3, 4, WIDTH // HEADS)
    expected = source(tokens, cos, sin)
    torch.testing.assert_close(coreml_form(build(), 24)(tokens, cos, sin), expected, rtol=1e-4, atol=1e-5)
