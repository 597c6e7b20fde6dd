"""How closely a device came to the desk: the self-test in its report of an install (docs/protocol.md, 9)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def worst_psnr(report: Mapping[str, Any]) -> float | None:
    """The lowest PSNR in dB of all components in an install's report, infinite where every output is equal.

    None where the device told of no self-test, or of one that is not in the protocol's form: what a device
    sends is only shown, so nothing is refused for it.
    """
    told = report.get("self_test")
    components = told.get("components") if isinstance(told, dict) else None
    if not isinstance(components, dict) or not components:
        return None
    figures = [_psnr(component) for component in components.values()]
    return None if any(math.isnan(figure) for figure in figures) else min(figures)


def psnr_words(psnr: float | None) -> str:
    """For the end of a line: " (self-test 97 dB)", or nothing where no figure is known."""
    if psnr is None:
        return ""
    return f" (self-test {psnr:.0f} dB)" if math.isfinite(psnr) else " (self-test exact)"


def psnr_json(psnr: float | None) -> dict[str, float | None] | None:
    """As JSON, which has no infinity: `{"psnr": 97.3}`, `{"psnr": null}` for equal bits, or null."""
    if psnr is None:
        return None
    return {"psnr": round(psnr, 1) if math.isfinite(psnr) else None}


def psnr_from_json(value: Any) -> float | None:
    """What `psnr_json` wrote; None also for anything else."""
    if not isinstance(value, dict):
        return None
    psnr = _psnr(value)
    return None if math.isnan(psnr) else psnr


def _psnr(component: Any) -> float:
    """A component's figure; null is equal bits, and what is none at all is not a number."""
    if not isinstance(component, dict) or "psnr" not in component:
        return math.nan
    psnr = component["psnr"]
    if psnr is None:
        return math.inf
    known = isinstance(psnr, int | float) and not isinstance(psnr, bool) and abs(psnr) < 1e4
    return float(psnr) if known else math.nan
