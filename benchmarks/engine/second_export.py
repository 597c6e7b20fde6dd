"""Bar 4: what a second export of a model takes, and what a changed prompt sends to a device."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench_device import MODEL, PROMPTS, quickstart
from comfyui_pocketvideo.mobile_runtime.bundle import Store
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.modelfile import read_config


def measure(folder: Path) -> dict[str, Any]:
    """Export the quickstart twice, the second time with another prompt, into a device's store.

    Gives the seconds of both, and for both the bytes that the store did not have: files and manifest.
    """
    lookups, store = FolderLookups(MODEL, MODEL.parent), Store(folder / "store")
    graph = quickstart(read_config(MODEL)["defaults"])
    told: dict[str, Any] = {"seconds": [], "pushed": []}
    for number, prompt in enumerate(PROMPTS[:2]):
        graph["2"]["inputs"]["text"] = prompt
        started = time.perf_counter()
        plan = compile_workflow(graph, "8", lookups)
        bundle = export_bundle(plan, MODEL, folder / f"bundle-{number}", cache_dir=folder / "cache")
        told["seconds"].append(time.perf_counter() - started)
        told["pushed"].append(store.missing_bytes(bundle.manifest) + len(bundle.data))
        store.add(bundle)
    return told
