"""Run on Device as one call with progress and interrupt: compile, export, push, and take the frames home."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.model_management
import folder_paths
import torch

from ...desk.errors import missing
from ...desk.request import SendRequest
from ...desk.videos import tagged_video
from .desk import host_desk
from .lookups import HostLookups
from .progress import NodeProgress

if TYPE_CHECKING:
    from ...mobile_runtime.bridge import JobResult
    from ...mobile_runtime.bundle import Bundle

# The export here, then the stages that a device reports (docs/protocol.md), with their shares of the bar.
STAGES = {"export": 0.3, "download": 0.2, "verify": 0.03, "self_test": 0.05, "run": 0.4, "upload": 0.02}


@dataclass(frozen=True)
class Made:
    """What came back: `images` float32 `[T, H, W, 3]` in 0..1, the video's bytes, its mime, a line about it.

    `report` is that line in full, as JSON: seconds, bytes, the plan's operations, the device's report.
    """

    images: torch.Tensor
    video: bytes
    mime: str
    summary: str
    report: dict[str, Any]


def run_on_device(request: SendRequest, node_id: str) -> Made:
    """Run the request's workflow on its device. The stop button reaches the device, too.

    Raises:
        DeskError, WorkflowError, ExportError, BridgeError: in one sentence.
        InterruptProcessingException: the user pressed stop.
    """
    desk = host_desk()
    progress = NodeProgress(node_id, STAGES)

    def exporting(state: str, fraction: float | None, words: str) -> None:
        progress.update(fraction if state == "exporting" else None, words, "export")

    started = time.monotonic()
    temporary = Path(folder_paths.get_temp_directory())
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pocketvideo-", dir=temporary) as folder:
        prepared = desk.workshop.prepare(request, HostLookups(), Path(folder) / "bundle", exporting)
        exported = time.monotonic()
        result = _push(request.device_id, prepared.bundle, progress)
    images = torch.from_numpy(result.frames).to(torch.float32) / 255
    report = {
        "seconds": {
            "export": round(exported - started, 3),
            "push": round(time.monotonic() - exported, 3),
        },
        "bundle_id": prepared.bundle.id,
        "bundle_bytes": result.bundle_bytes,
        "sent_bytes": result.sent_bytes,
        "attempts": result.attempts,
        "device": result.report,
    }
    summary = _summary(result)
    progress.update(1.0, summary, "upload")
    return Made(images, result.video, result.mime, summary, report)


def save_video(made: Made, path: Path, prompt: dict[str, Any], extra: dict[str, Any] | None) -> None:
    """Write a device's video with the metadata that the host's own nodes write. Raises DeskError."""
    from comfy.cli_args import args

    tags = {} if args.disable_metadata else {**(extra or {}), "prompt": prompt}
    with tempfile.TemporaryDirectory(prefix=".pocketvideo-", dir=path.parent) as folder:
        given, tagged = Path(folder) / "given", Path(folder) / "tagged"
        given.write_bytes(made.video)
        tagged_video(given, made.mime, tagged, tags)
        tagged.replace(path)


def _push(device: str, bundle: Bundle, progress: NodeProgress) -> JobResult:
    try:
        from ...mobile_runtime.bridge import JobEvent, PushCancelled
    except ImportError as error:
        raise missing(error) from error

    def on_event(event: JobEvent) -> None:
        known = event.stage in STAGES
        progress.update(
            event.fraction if known else None,
            event.message or event.stage,
            event.stage if known else "export",
        )

    try:
        return (
            host_desk()
            .bridge()
            .push(
                device,
                bundle,
                {},
                on_event=on_event,
                cancelled=comfy.model_management.processing_interrupted,
            )
        )
    except PushCancelled:
        comfy.model_management.throw_exception_if_processing_interrupted()
        raise


def _summary(result: JobResult) -> str:
    frames, height, width, _ = result.frames.shape
    megabytes = result.sent_bytes / 1e6
    return f"{frames} frames of {width} x {height} made on the device; {megabytes:.1f} MB sent"
