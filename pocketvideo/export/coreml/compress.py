"""Smaller weights: 8 bits everywhere, or 4 bits in linear layers with 8 in convolutions.

Weights of at most 2048 numbers stay as they are. Compression changes what is stored; Core ML computes in the
program's own precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

THRESHOLD = 2048
GROUP = 16
LARGEST_BLOCK = 32
SMALLEST_BLOCK = 8
BITS = 4


def compress(model: Any, kind: str) -> Any:
    """A coremltools model with compressed weights.

    `int8` is linear and symmetric, a scale per output channel. `int4` is the same with 4 bits and a scale per
    32 inputs (the next smaller divisor where 32 does not divide). `palette4` is a table of 16 values per 16
    output channels, placed by k-means.
    """
    import coremltools.optimize.coreml as cto

    if kind == "none":
        return model
    eight = cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=THRESHOLD)
    if kind == "int8":
        return cto.linear_quantize_weights(model, cto.OptimizationConfig(global_config=eight))
    linear, others = _weights(model)
    if others:
        rest = cto.OptimizationConfig(op_name_configs=dict.fromkeys(others, eight))
        model = cto.linear_quantize_weights(model, rest)
    if not linear:
        return model
    if kind == "int4":
        blocks = {
            name: cto.OpLinearQuantizerConfig(
                mode="linear_symmetric",
                dtype="int4",
                granularity="per_block",
                block_size=block_size(inputs),
                weight_threshold=THRESHOLD,
            )
            for name, (_, inputs) in linear.items()
        }
        return cto.linear_quantize_weights(model, cto.OptimizationConfig(op_name_configs=blocks))
    tables = {
        name: cto.OpPalettizerConfig(
            mode="custom",
            lut_function=palette,
            granularity="per_grouped_channel",
            group_size=GROUP if outputs % GROUP == 0 else outputs,
            channel_axis=0,
            weight_threshold=THRESHOLD,
        )
        for name, (outputs, _) in linear.items()
    }
    return cto.palettize_weights(model, cto.OptimizationConfig(op_name_configs=tables))


def block_size(inputs: int) -> int:
    """How many inputs share a scale: the largest divisor of `inputs` from 32 down to 8, else all of them."""
    for size in range(LARGEST_BLOCK, SMALLEST_BLOCK - 1, -1):
        if inputs % size == 0:
            return size
    return inputs


def palette(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """16 values and the index of one per weight, by Lloyd's algorithm (k-means) on the sorted weights.

    coremltools' own k-means wants scikit-learn for small groups. In one dimension a cluster is an interval,
    so one sort and sums over prefixes give every step; it starts from even steps between the extremes and
    from quantiles, and keeps what ends better.
    """
    flat = weight.reshape(-1).astype(np.float64)
    order = np.sort(flat)
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (order, order**2))
    count = 1 << BITS
    starts = (
        np.linspace(order[0], order[-1], count),
        np.quantile(order, (np.arange(count) + 0.5) / count),
    )
    best, least = starts[0], np.inf
    for start in starts:
        centres, error = _lloyd(start, order, sums, squares)
        if error < least:
            best, least = centres, error
    table = best.astype(weight.dtype)
    borders = (table[1:].astype(np.float64) + table[:-1].astype(np.float64)) / 2
    return table, np.searchsorted(borders, flat).astype(np.uint8)


def _lloyd(
    centres: np.ndarray, order: np.ndarray, sums: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, float]:
    for _ in range(50):
        cuts = np.searchsorted(order, (centres[1:] + centres[:-1]) / 2)
        edges = np.concatenate([[0], cuts, [len(order)]])
        held = np.diff(edges)
        totals = np.diff(sums[edges])
        moved = np.where(held > 0, totals / np.maximum(held, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    error = np.diff(squares[edges]) - 2 * centres * totals + held * centres**2
    return centres, float(error.sum())


def _weights(model: Any) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Names of large weights: of linear layers with their outputs and inputs, and of everything else."""
    import coremltools.optimize.coreml as cto

    linear: dict[str, tuple[int, int]] = {}
    others: list[str] = []
    for name, found in cto.get_weights_metadata(model, weight_threshold=THRESHOLD).items():
        users = {user.op_type for user in found.child_ops}
        if users == {"linear"} and found.val.ndim == 2:
            linear[name] = (found.val.shape[0], found.val.shape[1])
        else:
            others.append(name)
    return linear, others
