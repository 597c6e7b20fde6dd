"""Export forms: copies of a network's modules that compute the same and export better.

A linear layer keeps its weight transposed, `[in, out]`, because weights are graph inputs and a transpose
would run at every step. The rearrangements of the video VAE stay within five axes. Names of parameters do not
change.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import LTXVideoDownsampler3d, LTXVideoUpsampler3d
from torch import Tensor, nn
from torch.nn import functional as F

from .rearrange import fold_frames, fold_height, fold_width, unfold_frames, unfold_height, unfold_width

M = TypeVar("M", bound=nn.Module)


class TransposedLinear(nn.Module):
    """A linear layer whose weight is `[in, out]`."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().t().contiguous(), requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        out = torch.matmul(x, self.weight)
        return out if self.bias is None else out + self.bias


class FramePatches(nn.Module):
    """A 3-D convolution that cuts frames into patches, as the 2-D convolution of every frame that it is."""

    def __init__(self, source: nn.Conv3d) -> None:
        super().__init__()
        self.weight = nn.Parameter(source.weight.detach()[:, :, 0].contiguous(), requires_grad=False)
        self.bias = source.bias
        self.stride = source.stride[1:]

    def forward(self, x: Tensor) -> Tensor:
        batch, _, frames, _, _ = x.shape
        patches = F.conv2d(x.transpose(1, 2).flatten(0, 1), self.weight, self.bias, self.stride)
        return patches.unflatten(0, (batch, frames)).transpose(1, 2)


class Upsampler(nn.Module):
    """diffusers' LTXVideoUpsampler3d within five axes."""

    def __init__(self, source: LTXVideoUpsampler3d) -> None:
        super().__init__()
        self.conv = source.conv
        self.stride = source.stride
        self.residual = source.residual
        self.upscale_factor = source.upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        out = self._unfold(self.conv(x))
        if self.residual:
            repeats = (self.stride[0] * self.stride[1] * self.stride[2]) // self.upscale_factor
            out = out + self._unfold(x).repeat(1, repeats, 1, 1, 1)
        return out

    def _unfold(self, x: Tensor) -> Tensor:
        t, h, w = self.stride
        return unfold_frames(unfold_height(unfold_width(x, w), h), t)[:, :, t - 1 :]


class Downsampler(nn.Module):
    """diffusers' LTXVideoDownsampler3d within five axes."""

    def __init__(self, source: LTXVideoDownsampler3d) -> None:
        super().__init__()
        self.conv = source.conv
        self.stride = source.stride
        self.group_size = source.group_size

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[:, :, : self.stride[0] - 1], x], dim=2)
        residual = self._fold(x)
        b, c, t, h, w = residual.shape
        groups = residual.reshape(b, c // self.group_size, self.group_size, t, h * w)
        return self._fold(self.conv(x)) + groups.mean(dim=2).reshape(b, c // self.group_size, t, h, w)

    def _fold(self, x: Tensor) -> Tensor:
        t, h, w = self.stride
        return fold_width(fold_height(fold_frames(x, t), h), w)


def export_form(module: nn.Module) -> nn.Module:
    """A deep copy of `module` with its layers in export form; the original is not touched."""
    form = copy.deepcopy(module).eval().requires_grad_(False)
    return _replace(form)


def deferred(
    wrapper: Callable[[Any], nn.Module],
    source: Any,
    real: Callable[[nn.Module], nn.Module] = lambda module: module,
) -> Callable[[], nn.Module]:
    """A function that wraps `source` and gives the export form: copies are made when they are needed.

    `real` turns a module without numbers into one that has them.
    """
    return lambda: export_form(real(wrapper(source)))


def without(module: M, *names: str) -> M:
    """A shallow copy of a module that lacks these children, so that copying it deeply stays cheap."""
    light = copy.copy(module)
    light._modules = {name: child for name, child in module._modules.items() if name not in names}
    # A hook knows its module and would take the whole of it along into a deep copy.
    light._load_state_dict_pre_hooks = OrderedDict()
    return light


def _replace(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.Linear):
        return TransposedLinear(module)
    if isinstance(module, nn.Conv3d) and module.kernel_size[0] == 1 < module.stride[1]:
        return FramePatches(module)
    if isinstance(module, LTXVideoUpsampler3d):
        return Upsampler(module)
    if isinstance(module, LTXVideoDownsampler3d):
        return Downsampler(module)
    for name, child in module.named_children():
        setattr(module, name, _replace(child))
    return module
