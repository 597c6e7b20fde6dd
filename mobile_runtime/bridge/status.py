"""What a device says of itself (docs/protocol.md section 11), checked before the desk keeps or shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError
from .plain import plain_line

LARGEST = 2**53 - 1
MAX_BUNDLES = 256
FIELDS: dict[str, type | tuple[type, ...]] = {
    "free_bytes": (int, type(None)),
    "total_bytes": (int, type(None)),
    "memory_bytes": (int, type(None)),
    "runtime": str,
    "app": str,
    "bundles": list,
}


@dataclass(frozen=True)
class HeldBundle:
    """A bundle that is complete and verified on the device."""

    bundle_id: str
    name: str
    bytes: int


@dataclass(frozen=True)
class DeviceStatus:
    """Sizes in bytes, None where the device cannot know; `runtime` and `app` are plain lines."""

    free_bytes: int | None = None
    total_bytes: int | None = None
    memory_bytes: int | None = None
    runtime: str = ""
    app: str = ""
    bundles: tuple[HeldBundle, ...] = field(default=())

    @classmethod
    def read(cls, body: dict[str, Any]) -> DeviceStatus:
        """From a body whose fields have the types of FIELDS; ApiError 400 for a value out of bounds."""
        for name in ("free_bytes", "total_bytes", "memory_bytes"):
            if body[name] is not None and not 0 <= body[name] <= LARGEST:
                raise _bad(f"The field {name} is null or a whole number from 0 to 2^53 - 1.")
        if len(body["runtime"]) > 200 or len(body["app"]) > 40:
            raise _bad("The field runtime has at most 200 characters and app at most 40.")
        if len(body["bundles"]) > MAX_BUNDLES:
            raise _bad(f"At most {MAX_BUNDLES} bundles fit into a status.")
        return cls(
            body["free_bytes"],
            body["total_bytes"],
            body["memory_bytes"],
            plain_line(body["runtime"], 200),
            plain_line(body["app"], 40),
            tuple(_bundle(entry) for entry in body["bundles"]),
        )


def _bundle(entry: Any) -> HeldBundle:
    if not isinstance(entry, dict) or set(entry) != {"bundle_id", "name", "bytes"}:
        raise _bad("A bundle in a status has bundle_id, name and bytes.")
    bundle_id, name, size = entry["bundle_id"], entry["name"], entry["bytes"]
    if not isinstance(bundle_id, str) or not re.fullmatch(r"[0-9a-f]{64}", bundle_id):
        raise _bad("A bundle_id is 64 lower-case hex digits.")
    if not isinstance(name, str) or len(name) > 100:
        raise _bad("A bundle's name has at most 100 characters.")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST:
        raise _bad("A bundle's bytes are a whole number from 0 to 2^53 - 1.")
    return HeldBundle(bundle_id, plain_line(name, 100), size)


def _bad(message: str) -> ApiError:
    return ApiError(400, "bad_request", message)
