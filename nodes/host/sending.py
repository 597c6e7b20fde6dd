"""Compile, export, push: what Send to Device does, as one call with progress and interrupt."""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.model_management
import folder_paths
import torch

from . import desk
from .lookups import HostLookups, with_local_models
from .progress import NodeProgress

if TYPE_CHECKING:
    from ...mobile_runtime.bridge import DeviceInfo, JobResult

logger = logging.getLogger(__name__)

# The export here, then the stages that a device reports (docs/protocol.md), with their shares of the bar.
STAGES = {"export": 0.3, "download": 0.2, "verify": 0.03, "self_test": 0.05, "run": 0.4, "upload": 0.02}
ONLY_DEVICE = "the paired device"


@dataclass(frozen=True)
class Sent:
    """What came back: `images` float32 `[T, H, W, 3]` in 0..1, the MP4's bytes, and a line about the run.

    `report` is that line in full, as JSON: seconds, bytes, the plan's operations, the device's report.
    """

    images: torch.Tensor
    video: bytes
    summary: str
    report: dict[str, Any]


def send(prompt: dict[str, Any], node_id: str, device: str, prompts: str) -> Sent:
    """Run the part of `prompt` that node `node_id` depends on, on a paired device.

    Args:
        prompt: the running prompt in API format.
        node_id: the Send to Device node in it.
        device: the label of a paired device, or `ONLY_DEVICE`.
        prompts: `editable` or `fixed`, as `export_bundle` takes it.

    Raises:
        DeskError, WorkflowError, ExportError, BridgeError: in one sentence.
        InterruptProcessingException: the user pressed stop.
    """
    progress = NodeProgress(node_id, STAGES)
    try:
        from ...pocketvideo.export import compile_workflow
        from ...pocketvideo.export.bundling import export_bundle
    except ImportError as error:
        raise desk.DeskError(_missing(error)) from error
    lookups = HostLookups()
    plan = compile_workflow(with_local_models(prompt), node_id, lookups)
    # Before the export, which takes a while.
    chosen = device_id(device)

    def exporting(done: int, total: int, words: str) -> None:
        progress.update(done / max(1, total), words, "export")

    started = time.monotonic()
    temporary = Path(folder_paths.get_temp_directory())
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pocketvideo-", dir=temporary) as folder:
        bundle = export_bundle(
            plan,
            None if plan.parts else lookups.model_file(plan.model_name),
            Path(folder) / "bundle",
            cache_dir=desk.state_folder() / "exports",
            prompts=prompts,
            progress=exporting,
        )
        exported = time.monotonic()
        result = _push(chosen, bundle, progress)
    images = torch.from_numpy(result.frames).to(torch.float32) / 255
    report = {
        "seconds": {
            "export": round(exported - started, 3),
            "push": round(time.monotonic() - exported, 3),
        },
        "bundle_id": bundle.id,
        "bundle_bytes": result.bundle_bytes,
        "sent_bytes": result.sent_bytes,
        "attempts": result.attempts,
        "device": result.report,
    }
    summary = _summary(result)
    progress.update(1.0, summary, "upload")
    return Sent(images, result.video, summary, report)


def device_labels() -> list[str]:
    """What the node's list offers: the only device, then each paired one by name."""
    try:
        devices = desk.paired_devices()
    except Exception as error:  # whatever is wrong with the pairings, the node must still appear
        logger.warning("PocketVideo cannot list the paired devices: %s", error)
        devices = []
    return [ONLY_DEVICE, *(_label(device) for device in devices)]


def device_id(label: str) -> str:
    """The id of the device behind a label of the list. Raises DeskError."""
    devices = desk.paired_devices()
    if not devices:
        raise desk.DeskError(
            "No device is paired with this ComfyUI: run the command 'PocketVideo: Pair a device' "
            "in ComfyUI's menu first."
        )
    if label == ONLY_DEVICE:
        if len(devices) == 1:
            return devices[0].device_id
        names = ", ".join(_label(device) for device in devices)
        raise desk.DeskError(f"{len(devices)} devices are paired ({names}): choose one in Send to Device.")
    for device in devices:
        if label in (_label(device), device.name, device.device_id):
            return device.device_id
    known = ", ".join(_label(device) for device in devices)
    raise desk.DeskError(
        f"No paired device is called {label!r:.100} (paired: {known}): choose one or pair it."
    )


def _label(device: DeviceInfo) -> str:
    return f"{device.name} ({device.device_id[:4]})"


def _push(device: str, bundle: Any, progress: NodeProgress) -> JobResult:
    bridge = desk.bridge()
    from ...mobile_runtime.bridge import JobEvent, PushCancelled

    def on_event(event: JobEvent) -> None:
        known = event.stage in STAGES
        progress.update(
            event.fraction if known else None,
            event.message or event.stage,
            event.stage if known else "export",
        )

    try:
        return bridge.push(
            device,
            bundle,
            {},
            on_event=on_event,
            cancelled=comfy.model_management.processing_interrupted,
        )
    except PushCancelled:
        comfy.model_management.throw_exception_if_processing_interrupted()
        raise


def _summary(result: JobResult) -> str:
    frames, height, width, _ = result.frames.shape
    megabytes = result.sent_bytes / 1e6
    return f"{frames} frames of {width} x {height} made on the device; {megabytes:.1f} MB sent"


def _missing(error: ImportError) -> str:
    return (
        f"Send to Device needs the Python package {error.name or 'onnx'}: run "
        '`pip install "pocketvideo[export,bridge]"` in ComfyUI\'s environment and start ComfyUI again.'
    )
