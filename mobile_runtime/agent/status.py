"""What this device tells its desks of itself (docs/protocol.md section 11); nothing that names its user."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from typing import Any

from ..bundle import BundleError, Store

MAX_BUNDLES = 256


def status_of(store: Store, runtime: str) -> dict[str, Any]:
    """The status object: sizes in bytes, the engine's `runtime`, and the bundles that are complete here."""
    total = shutil.disk_usage(store.existing_folder()).total
    return {
        "free_bytes": store.free_bytes(),
        "total_bytes": total if store.quota is None else min(total, store.quota),
        "memory_bytes": memory_bytes(),
        "runtime": f"{runtime}, {platform.system()} {platform.machine()}"[:200],
        "app": app_version()[:40],
        "bundles": held_bundles(store)[:MAX_BUNDLES],
    }


def held_bundles(store: Store) -> list[dict[str, Any]]:
    """Id, name and bytes of each installed bundle; one that is damaged is left out."""
    found = []
    for identity in store.bundles():
        try:
            bundle = store.open(identity)
        except BundleError:
            continue
        size = sum(entry["bytes"] for entry in bundle.files.values())
        found.append({"bundle_id": identity, "name": bundle.manifest["name"][:100], "bytes": size})
    return found


def memory_bytes() -> int | None:
    """This computer's memory, where the system says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def app_version() -> str:
    """The version of this package as installed; `unknown` in a copy that was never installed."""
    try:
        return metadata.version("pocketvideo")
    except metadata.PackageNotFoundError:
        return "unknown"
