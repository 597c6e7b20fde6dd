"""A manifest's bytes to a checked Manifest and back; the bundle's id is the digest of those bytes.

Knows nothing of where files lie. Order of the checks: size, depth and JSON form, the schema, then what a
schema cannot say (paths that collide, files that are named and not listed, a plan that does not add up).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, cast

from . import strict_json
from ._types import File, Manifest
from ._validator import SchemaError, validate
from .errors import ManifestError
from .plan import check_plan, feature_files, input_files

MANIFEST_NAME = "manifest.json"
MAX_GRAPH_BYTES = 64 * 2**20
MAX_TOKENIZER_BYTES = 64 * 2**20
MAX_PHOTO_BYTES = 64 * 2**20
MAX_FEATURE_BYTES = 64 * 2**20
MAX_WORKFLOW_BYTES = 16 * 2**20
MAX_BUNDLE_BYTES = 2**37
# Windows cannot hold these names, whatever their ending, and a bundle goes to any device.
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10)),
}


def bundle_id(data: bytes) -> str:
    """The id of a bundle: the SHA-256 of its manifest's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def serialise(manifest: Manifest) -> bytes:
    """The canonical bytes of a manifest, after every check of `parse`. Raises ManifestError."""
    data = strict_json.dumps(manifest)
    parse(data)
    return data


def parse(data: bytes, what: str = "The manifest") -> Manifest:
    """Check a manifest's bytes and return it. Raises ManifestError with one sentence."""
    value = strict_json.loads(data, what)
    try:
        validate(value, name_prefix="manifest")
    except SchemaError as error:
        raise ManifestError(
            f"{what} does not follow the format: {error}; send or export the bundle again."
        ) from None
    if strict_json.dumps(value) != data:
        raise ManifestError(
            f"{what} is not in canonical form (sorted keys, no spaces); export the bundle again."
        )
    manifest = cast(Manifest, value)
    files = _check_files(manifest["files"], what)
    _check_references(manifest, files, what)
    check_plan(manifest)
    return manifest


def references(manifest: Manifest) -> Iterable[tuple[str, str, int]]:
    """Every file that the manifest uses, as (path, ending it must have, most bytes it may have)."""
    for component in manifest["components"].values():
        for path in component["graphs"].values():
            yield path, ".onnx", MAX_GRAPH_BYTES
        for stage in component["stages"]:
            yield stage["weights"], ".safetensors", MAX_BUNDLE_BYTES
        if "tokenizer" in component:
            yield component["tokenizer"], ".json", MAX_TOKENIZER_BYTES
    yield manifest["self_test"]["file"], ".safetensors", MAX_BUNDLE_BYTES
    yield manifest["workflow"], ".json", MAX_WORKFLOW_BYTES
    for path in input_files(manifest):
        yield path, "", MAX_PHOTO_BYTES
    for path in feature_files(manifest):
        yield path, ".safetensors", MAX_FEATURE_BYTES


def graph_files(manifest: Manifest) -> set[str]:
    """The ONNX files of the bundle: those a component names, and any other that is listed."""
    named = {path for component in manifest["components"].values() for path in component["graphs"].values()}
    return named | {entry["path"] for entry in manifest["files"] if entry["path"].lower().endswith(".onnx")}


def _check_files(entries: list[File], what: str) -> dict[str, File]:
    files: dict[str, File] = {}
    lengths: dict[str, int] = {}
    folded: dict[str, str] = {}
    folders: set[str] = set()
    for entry in entries:
        path = entry["path"]
        key = path.lower()
        if key in folded:
            raise ManifestError(
                f"{what} lists {path!r} and {folded[key]!r}, which some devices cannot tell apart."
            )
        for segment in key.split("/"):
            if segment.endswith(".") or segment.split(".")[0] in _RESERVED:
                raise ManifestError(
                    f"{what} lists {path!r}, a name that some devices cannot hold; rename the file."
                )
        if key == MANIFEST_NAME:
            raise ManifestError(f"{what} lists itself among its files; leave {MANIFEST_NAME} out.")
        if lengths.setdefault(entry["sha256"], entry["bytes"]) != entry["bytes"]:
            raise ManifestError(
                f"{what} gives {path!r} a length that another file with the same digest does not have."
            )
        folded[key] = path
        files[path] = entry
        parts = key.split("/")
        folders.update("/".join(parts[:n]) for n in range(1, len(parts)))
    clash = folders & folded.keys()
    if clash:
        raise ManifestError(
            f"{what} lists {folded[min(clash)]!r} both as a file and as a folder; rename one."
        )
    total = sum(entry["bytes"] for entry in entries)
    if total > MAX_BUNDLE_BYTES:
        raise ManifestError(
            f"{what} lists {total} bytes and the limit is {MAX_BUNDLE_BYTES}; export a smaller model."
        )
    return files


def _check_references(manifest: Manifest, files: dict[str, File], what: str) -> None:
    for path, ending, most in references(manifest):
        entry = files.get(path)
        if entry is None:
            raise ManifestError(
                f"{what} uses {path!r} and does not list it among its files; export the bundle again."
            )
        if not path.endswith(ending):
            raise ManifestError(
                f"{what} uses {path!r} where a {ending} file belongs; export the bundle again."
            )
        if entry["bytes"] > most:
            raise ManifestError(f"{what} lists {path!r} with {entry['bytes']} bytes and the limit is {most}.")
    for name, component in manifest["components"].items():
        for stage in component["stages"]:
            if stage["graph"] not in component["graphs"]:
                raise ManifestError(
                    f"The component {name!r} has no graph {stage['graph']!r}; export the bundle again."
                )
        if (
            component["kind"] == "text_encoder"
            and not {"tokenizer", "max_tokens", "pad_id"} <= component.keys()
        ):
            raise ManifestError(
                f"The text encoder {name!r} needs tokenizer, max_tokens and pad_id; export it again."
            )
    unknown = manifest["self_test"]["components"].keys() - manifest["components"].keys()
    if unknown:
        raise ManifestError(f"The self-test names the component {min(unknown)!r}, which the manifest lacks.")


def file_entry(path: str, sha256: str, size: int) -> File:
    """One entry of `files`."""
    return {"path": path, "sha256": sha256, "bytes": size}


def as_manifest(value: dict[str, Any]) -> Manifest:
    """A plain dict as a Manifest, for callers that build one step by step; `serialise` checks it."""
    return cast(Manifest, value)
