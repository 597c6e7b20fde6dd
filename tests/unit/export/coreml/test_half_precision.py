"""What float16 breaks, and the forms that keep it right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.coreml.forms import ScaledRMSNorm, coreml_form
from comfyui_pocketvideo.pocketvideo.export.forms import deferred
from comfyui_pocketvideo.pocketvideo.export.stages import Axes, Component, Stage
from comfyui_pocketvideo.pocketvideo.models.attention import LinearAttention
from torch import Tensor, nn

from unit.export.coreml.packages import gated, options

WIDTH, HEADS = 24, 2


@pytest.mark.parametrize("magnitude", [0.0, 1e-4, 1.0, 300.0, 3e4])
@pytest.mark.parametrize("eps", [1e-8, 1e-5])
def test_the_norm_survives_magnitudes_whose_squares_do_not(magnitude: float, eps: float) -> None:
    x = magnitude * torch.randn(5, 96, generator=torch.Generator().manual_seed(1)).clamp(-2, 2)
    weight = torch.linspace(0.5, 1.5, 96)
    exact = x.double() * torch.rsqrt(x.double().square().mean(-1, keepdim=True) + eps) * weight
    form = ScaledRMSNorm(weight, eps)
    torch.testing.assert_close(form(x).double(), exact, rtol=1e-5, atol=1e-6)
    half = form.half()(x.half())
    rounded = x.half().double()
    exact = rounded * torch.rsqrt(rounded.square().mean(-1, keepdim=True) + eps) * weight
    torch.testing.assert_close(half.double(), exact, rtol=1e-2, atol=2e-3)


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
