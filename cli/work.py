"""`push` and `run`: a workflow's way to a device, and its video's way back."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..desk.devices import device_target
from ..desk.errors import DeskError
from ..desk.folder import StateFolder, private_folder
from ..desk.pipeline import Workshop
from ..desk.planning import plan_send
from ..desk.records import BundleRecords
from ..desk.request import SendRequest, compiled
from ..desk.results import metadata_tags
from ..desk.self_tests import psnr_words, worst_psnr
from ..desk.videos import MP4, tagged_video
from ..pocketvideo.export import parse_prompt
from ..pocketvideo.export.editor import to_prompt
from ..pocketvideo.export.editor_graph import is_editor_format
from ..pocketvideo.export.fixed_prompts import with_prompts
from ..pocketvideo.export.prompt import MAX_PROMPT_BYTES
from .lookups import FolderLookups
from .options import state_folder
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..desk.bridge import DeskBridge


def push(options: argparse.Namespace) -> int:
    """Install a workflow on a device. Raises DeskError, WorkflowError, ExportError, BridgeError."""
    from .main import open_bridge

    bridge, workshop = open_bridge(options), Workshop(StateFolder(state_folder(options)))
    request, lookups = _request(options, bridge, options.name), _lookups(options)
    target = device_target(bridge, request.device_id)
    plan = plan_send(workshop, request, lookups, target)
    sys.stdout.write(_describe(plan))
    if plan["problems"]:
        raise DeskError(" ".join(plan["problems"]))
    if options.plan:
        return 0
    line = ProgressLine()
    bridge.start()
    try:
        with tempfile.TemporaryDirectory(dir=private_folder(workshop.folder.sends), prefix="push-") as folder:
            prepared = workshop.prepare(request, lookups, Path(folder) / "bundle", line.show)
            result = workshop.install(
                bridge,
                request.device_id,
                prepared.bundle,
                line.show,
                connect_seconds=options.wait,
                patience_seconds=options.wait,
            )
        line.show("done", 1.0, "")
    finally:
        line.end()
        bridge.stop()
    sys.stdout.write(
        f"{prepared.name} is on {target.name}, tested there{psnr_words(worst_psnr(result.report))}; "
        f"{result.sent_bytes / 1e6:.1f} of {result.bundle_bytes / 1e6:.1f} MB were sent\n"
    )
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a workflow on a device and write its video. Raises as `push`."""
    from .main import open_bridge

    if not options.out.parent.is_dir():
        raise DeskError(f"There is no folder {options.out.parent}: make it, or name another file with --out.")
    bridge, workshop = open_bridge(options), Workshop(StateFolder(state_folder(options)))
    request, lookups, line = _request(options, bridge, ""), _lookups(options), ProgressLine()
    # Before the export, which takes a while.
    plan = with_prompts(compiled(request, lookups).plan, request.prompts)
    values = _values(options, plan.inputs)
    bridge.start()
    try:
        with tempfile.TemporaryDirectory(dir=private_folder(workshop.folder.sends), prefix="run-") as folder:
            prepared = workshop.prepare(request, lookups, Path(folder) / "bundle", line.show)
            result = bridge.push(
                request.device_id,
                prepared.bundle,
                values,
                lambda event: line.show(event.stage, event.fraction, event.message),
                connect_seconds=options.wait,
                patience_seconds=options.wait,
            )
        line.show("done", 1.0, "")
    finally:
        line.end()
        bridge.stop()
    tags = metadata_tags(BundleRecords(workshop.folder).find(prepared.bundle.id), values, None)
    _write(result.video, options.out, tags)
    frames, height, width, _ = result.frames.shape
    sys.stdout.write(f"{options.out}: {frames} frames of {width} x {height}\n")
    return 0


def _request(options: argparse.Namespace, bridge: DeskBridge, name: str) -> SendRequest:
    with options.workflow.open("rb") as file:
        document = parse_prompt(file.read(MAX_PROMPT_BYTES + 1))
    editor = is_editor_format(document)
    return SendRequest(
        prompt=to_prompt(document) if editor else document,
        workflow=document if editor else None,
        target=options.target,
        device_id=device_target(bridge, options.device).device_id,
        prompts=options.prompts,
        precision=options.precision,
        name=name,
    )


def _lookups(options: argparse.Namespace) -> FolderLookups:
    models: Sequence[Path] = list(options.models)
    photos = [options.photos or options.workflow.parent]
    if options.comfyui is not None:
        models = [*models, options.comfyui / "models"]
        photos.append(options.comfyui / "input")
    return FolderLookups(models, photos, options.comfyui)


def _values(options: argparse.Namespace, inputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What was given on the command line, in the types of the plan's inputs. Raises DeskError."""
    given: dict[str, str] = {}
    for item in options.value:
        name, equals, value = item.partition("=")
        if not equals:
            raise DeskError(f"{item!r:.100} is no value: write it as NAME=VALUE.")
        given[name] = value
    if options.prompt is not None:
        given["prompt"] = options.prompt
    if options.seed is not None:
        given["seed"] = options.seed
    unknown = next((name for name in given if name not in inputs or inputs[name]["type"] == "image"), None)
    if unknown is not None:
        known = ", ".join(sorted(inputs)) or "none"
        raise DeskError(f"The workflow has no input {unknown!r:.60} to give: it has {known}.")
    return {name: _typed(name, inputs[name]["type"], text) for name, text in given.items()}


def _typed(name: str, kind: str, text: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        return str(int(text)) if kind == "seed" else text
    except ValueError:
        raise DeskError(f"{text!r:.60} is no {kind} for {name}: give a number.") from None


def _describe(plan: dict[str, Any]) -> str:
    parts = ", ".join(f"{part['name']} {part['bytes'] / 1e6:.1f} MB" for part in plan["components"])
    about = "" if plan["exact"] else "about "
    lines = [
        f"{plan['name']} for {plan['device_name']}: {parts}",
        f"to send: {about}{plan['send_bytes'] / 1e6:.1f} of {plan['total_bytes'] / 1e6:.1f} MB, "
        f"about {plan['seconds']:.0f} s; memory there: {plan['memory_bytes'] / 1e6:.0f} MB, or "
        f"{plan['least_memory_bytes'] / 1e6:.0f} MB with blocks from storage",
        *(f"note: {note}" for note in plan["notes"]),
    ]
    return "\n".join(lines) + "\n"


def _write(video: bytes, out: Path, tags: dict[str, Any]) -> None:
    """The video with its workflow under its name, whole or not at all."""
    drafts = [out.with_name(f".{out.name}.{secrets.token_hex(4)}{end}") for end in (".given.mp4", ".mp4")]
    try:
        drafts[0].write_bytes(video)
        tagged_video(drafts[0], MP4, drafts[1], tags)
        os.replace(drafts[1], out)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
