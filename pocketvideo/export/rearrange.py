"""Moving pixels into channels and back without ever holding more than five axes.

diffusers writes these moves as one permutation of eight axes. WebGPU and Core ML stop at five, so every axis
is folded by itself here. The result is the same, element for element.
"""

from torch import Tensor


def unfold_frames(x: Tensor, step: int) -> Tensor:
    """`[B, C * step, T, H, W]` to `[B, C, T * step, H, W]`; the channel index is `c * step + t`."""
    if step == 1:
        return x
    b, channels, t, h, w = x.shape
    c = channels // step
    return x.reshape(b * c, step, t, h * w).permute(0, 2, 1, 3).reshape(b, c, t * step, h, w)


def unfold_height(x: Tensor, step: int) -> Tensor:
    """`[B, C * step, T, H, W]` to `[B, C, T, H * step, W]`; the channel index is `c * step + y`."""
    if step == 1:
        return x
    b, channels, t, h, w = x.shape
    c = channels // step
    return x.reshape(b * c, step, t, h, w).permute(0, 2, 3, 1, 4).reshape(b, c, t, h * step, w)


def unfold_width(x: Tensor, step: int) -> Tensor:
    """`[B, C * step, T, H, W]` to `[B, C, T, H, W * step]`; the channel index is `c * step + x`."""
    if step == 1:
        return x
    b, channels, t, h, w = x.shape
    c = channels // step
    return x.reshape(b * c, step, t * h, w).permute(0, 2, 3, 1).reshape(b, c, t, h, w * step)


def fold_frames(x: Tensor, step: int) -> Tensor:
    """`[B, C, T * step, H, W]` to `[B, C * step, T, H, W]`, the inverse of `unfold_frames`."""
    if step == 1:
        return x
    b, c, frames, h, w = x.shape
    t = frames // step
    return x.reshape(b * c, t, step, h * w).permute(0, 2, 1, 3).reshape(b, c * step, t, h, w)


def fold_height(x: Tensor, step: int) -> Tensor:
    """`[B, C, T, H * step, W]` to `[B, C * step, T, H, W]`, the inverse of `unfold_height`."""
    if step == 1:
        return x
    b, c, t, height, w = x.shape
    h = height // step
    return x.reshape(b * c, t, h, step, w).permute(0, 3, 1, 2, 4).reshape(b, c * step, t, h, w)


def fold_width(x: Tensor, step: int) -> Tensor:
    """`[B, C, T, H, W * step]` to `[B, C * step, T, H, W]`, the inverse of `unfold_width`."""
    if step == 1:
        return x
    b, c, t, h, width = x.shape
    w = width // step
    return x.reshape(b * c, t * h, w, step).permute(0, 3, 1, 2).reshape(b, c * step, t, h, w)
