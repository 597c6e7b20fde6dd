"""Forms of layers that stay right when Core ML computes them in 16 bits.

coremltools turns every float32 operation into float16, also those that the network asks for in float32. Where
that overflows, the layer is written anew: the same function of the same weights. Norms are in `norms.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import LTXVideoCausalConv3d
from torch import Tensor, nn

from ...models.attention import LinearAttention
from ..forms import TransposedLinear
from ..layout_channels import ChannelsLinear


class EdgePaddedConv(nn.Module):
    """diffusers' LTXVideoCausalConv3d; first and last frame are repeated without `repeat`.

    A kernel of one frame makes diffusers repeat a frame zero times, which Core ML has no operation for.
    """

    def __init__(self, source: LTXVideoCausalConv3d) -> None:
        super().__init__()
        self.conv = source.conv
        extra = source.kernel_size[0] - 1
        self.before = extra if source.is_causal else extra // 2
        self.after = 0 if source.is_causal else extra // 2

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, :, :1]] * self.before + [x] + [x[:, :, -1:]] * self.after
        out: Tensor = self.conv(torch.cat(parts, dim=2) if len(parts) > 1 else x)
        return out


def coreml_form(module: nn.Module, tokens: int) -> nn.Module:
    """Replace the layers of a module that is in export form, in place; `tokens` is the most per clip."""
    if isinstance(module, TransposedLinear):
        return _linear(module)
    if isinstance(module, (LinearAttention, ChannelsLinear)):
        _scale_sums(module, tokens)
    for name, child in module.named_children():
        setattr(module, name, coreml_form(child, tokens))
    if isinstance(module, LTXVideoCausalConv3d):
        return EdgePaddedConv(module)
    return module


class Varargs(nn.Module):
    """A stage behind `forward(*activations)`, so that the sizes of all inputs can be told in one way."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, *activations: Tensor) -> Any:
        return self.stage(*activations)


def _scale_sums(attention: LinearAttention | ChannelsLinear, tokens: int) -> None:
    """Make queries and keys smaller by the root of the number of tokens, through the weights of their norms.

    RoPE and ReLU pass a positive factor on, and the quotient at the end cancels it. Without it the products
    with the sums over all keys pass float16's 65504 at some thousand tokens.
    """
    for norm in (attention.q_norm, attention.k_norm):
        norm.weight = nn.Parameter(norm.weight.detach() * float(tokens) ** -0.5, requires_grad=False)


def _linear(source: TransposedLinear) -> nn.Linear:
    """Back to `[out, in]`: in Core ML weights are constants, and compression looks for linear layers."""
    n_in, n_out = source.weight.shape
    made = nn.Linear(n_in, n_out, bias=source.bias is not None, device="meta")
    made.weight = nn.Parameter(source.weight.detach().t().contiguous(), requires_grad=False)
    if source.bias is not None:
        made.bias = nn.Parameter(source.bias.detach(), requires_grad=False)
    return made
