"""RMS norms that survive float16, in an exported graph.

    x / sqrt(mean(x^2) + eps)  =  y / sqrt(mean(y^2) + eps / s^2),   y = x / s,  s = max |x|

coremltools turns every float32 operation into float16, also those that the network asks for in float32. The
squares of a float16 overflow from 256 on, and an eps of 1e-8 is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

# Below it rows are not enlarged to one: eps / s^2 has to stay finite.
SMALLEST_SCALE = 2.0**-10
aten = torch.ops.aten


def rms_norm(x: Tensor, shape: list[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """torch's `rms_norm` in the operations that `scale_norms` looks for."""
    dims = list(range(-len(shape), 0))
    least = torch.finfo(x.dtype).eps if eps is None else eps
    out = x * torch.rsqrt(x.square().mean(dims, keepdim=True) + least)
    return out if weight is None else out * weight


def scale_norms(graph: fx.Graph) -> int:
    """Divide what an RMS norm squares by its largest magnitude first; returns how many norms were found."""
    found = 0
    for node in list(graph.nodes):
        parts = _norm(node)
        if parts is None:
            continue
        x, mean, eps, products = parts
        with graph.inserting_before(node):
            out = _scaled(graph, x, mean, eps)
        for product in products:
            product.replace_all_uses_with(out)
        found += 1
    graph.eliminate_dead_code()
    return found


def _scaled(graph: fx.Graph, x: fx.Node, mean: fx.Node, eps: float) -> fx.Node:
    def emit(target: Callable[..., Any], like: fx.Node, *arguments: Any) -> fx.Node:
        made = graph.call_function(target, arguments)
        made.meta["val"] = like.meta["val"]
        return made

    dims = mean.args[1]
    largest = emit(aten.amax.default, mean, emit(aten.abs.default, x, x), dims, True)
    scale = emit(aten.clamp.default, mean, largest, SMALLEST_SCALE)
    y = emit(aten.div.Tensor, x, x, scale)
    bias = emit(aten.div.Tensor, mean, eps**0.5, scale)
    squares = emit(aten.mean.dim, mean, emit(aten.mul.Tensor, x, y, y), dims, True)
    total = emit(aten.add.Tensor, mean, squares, emit(aten.mul.Tensor, mean, bias, bias))
    return emit(aten.mul.Tensor, x, y, emit(aten.rsqrt.default, mean, total))


def _norm(node: fx.Node) -> tuple[fx.Node, fx.Node, float, list[fx.Node]] | None:
    """What `x * rsqrt(mean(x^2) + eps)` is made of, told from its rsqrt: x, the mean, eps, the products."""
    if node.target is not aten.rsqrt.default:
        return None
    total = node.args[0]
    if not isinstance(total, fx.Node) or total.target not in (aten.add.Tensor, aten.add.Scalar):
        return None
    mean, eps = total.args[:2]
    if not isinstance(mean, fx.Node) or mean.target is not aten.mean.dim or not isinstance(eps, float):
        return None
    x = _squared(mean.args[0])
    products = list(node.users)
    if x is None or mean.args[2:3] != (True,) or eps <= 0:
        return None
    if any(user.target is not aten.mul.Tensor or set(user.args) != {x, node} for user in products):
        return None
    return x, mean, eps, products


def _squared(node: Any) -> fx.Node | None:
    """x, where the node is its square."""
    if not isinstance(node, fx.Node):
        return None
    x = node.args[0] if node.args else None
    square = (
        node.target is aten.square.default
        or (node.target is aten.pow.Tensor_Scalar and node.args[1] == 2)
        or (node.target is aten.mul.Tensor and node.args[1] is x)
    )
    return x if square and isinstance(x, fx.Node) else None
