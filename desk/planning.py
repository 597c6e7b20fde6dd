"""What a send would do, before anything is done: components, sizes, time, memory, and what does not fit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..pocketvideo.export.precision import COMPONENTS
from .pipeline import Workshop
from .request import DeskLookups, SendRequest, compiled


@dataclass(frozen=True)
class Target:
    """A device as planning sees it; None where it did not say."""

    device_id: str
    name: str
    free_bytes: int | None = None
    memory_bytes: int | None = None
    bundle_ids: Collection[str] = ()


def plan_send(
    workshop: Workshop, request: SendRequest, lookups: DeskLookups, target: Target
) -> dict[str, Any]:
    """The answer of `POST /sends/plan` (docs/desk-api.md).

    Raises WorkflowError, UnsupportedNode, ExportError, each in one sentence.
    """
    from ..pocketvideo.export.dry_run import DeviceLimits, plan_only

    made = compiled(request, lookups)
    report = plan_only(
        made.plan,
        made.model,
        cache_dir=workshop.folder.exports,
        prompts=request.prompts,
        precision=request.wanted_precision(),
        held=workshop.records.files_of(target.bundle_ids),
        limits=DeviceLimits(target.memory_bytes, target.free_bytes),
    )
    to_export = sum(part["weights"] for part in report["components"] if not part["exported"])
    send_bytes = int(report["send"]["bytes"])
    return {
        "name": request.name or report["model"].removesuffix(".safetensors"),
        "device_id": target.device_id,
        "device_name": target.name,
        "components": [
            {
                "name": part["name"],
                "kind": next((kind for kind in COMPONENTS if part["name"].startswith(kind)), part["name"]),
                "bytes": part["weights"],
                "exported": part["exported"],
            }
            for part in report["components"]
        ],
        "total_bytes": report["bytes"],
        "send_bytes": send_bytes,
        "exact": report["exact"],
        "seconds": round(workshop.rates.seconds(target.device_id, to_export, report["bytes"], send_bytes), 1),
        "memory_bytes": report["memory"]["whole"],
        "least_memory_bytes": report["memory"]["least"],
        "inputs": [
            {"name": name, "label": spec.get("label", name), "type": spec["type"]}
            for name, spec in report["inputs"].items()
        ],
        "problems": report["problems"],
        "notes": report["notes"],
        "fits": not report["problems"],
    }
