"""JSON Schemas of the protocol's bodies (docs/protocol.md), for its OpenAPI document.

They describe what the handlers take and give; the handlers check by themselves, and schemathesis holds both
to each other.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


def _hex(length: int) -> Schema:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{length}}}$"}


def _text(longest: int, shortest: int = 0) -> Schema:
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _object(fields: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object of exactly `fields`."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
KIND = _one_of("agent", "phone")
# A name in an answer; one in a request must not look blank or hide its direction, too, which no schema says.
NAME = _text(64, 1)
VALUES: Schema = {"type": "object"}

ERROR = _object({"error": _object({"code": {"type": "string"}, "message": {"type": "string"}})})
ABOUT = _object({"app": _one_of("pocketvideo"), "protocol": {"type": "string"}})
DESK = _object({"id": _hex(16), "name": {"type": "string"}})
INTRODUCTION = _object(
    {
        "protocol": {"type": "string", "pattern": r"^1(\.[0-9]+)?$"},
        "name": NAME,
        "kind": KIND,
        "commitment": _hex(64),
        "token_sha256": _hex(64),
        "proof": _hex(64),
    }
)
INTRODUCED = _object(
    {"pairing_id": _hex(32), "desk_nonce": _hex(32), "expires_in": {"type": "number"}, "desk": DESK}
)
REVEAL = _object({"nonce": _hex(32)})
WAITING = _object({"state": _one_of("waiting")})
PAIRING_STATE = _object(
    {"state": _one_of("waiting", "confirmed", "refused"), "device_id": _hex(16)}, optional=("device_id",)
)
DEVICE = _object({"device_id": _hex(16), "name": NAME, "kind": KIND})
STATUS = _object(
    {
        "free_bytes": _or_null(COUNT),
        "total_bytes": _or_null(COUNT),
        "memory_bytes": _or_null(COUNT),
        "runtime": _text(200),
        "app": _text(40),
        "bundles": {
            "type": "array",
            "maxItems": 256,
            "items": _object({"bundle_id": _hex(64), "name": _text(100), "bytes": COUNT}),
        },
    }
)
JOB = _object(
    {
        "type": _one_of("job"),
        "job_id": _hex(32),
        "attempt": {**COUNT, "minimum": 1},
        "kind": _one_of("install", "run"),
        "bundle_id": _hex(64),
        "name": {"type": "string"},
        "values": VALUES,
    }
)
EVENT = _object(
    {
        "stage": _one_of("download", "verify", "self_test", "run", "upload"),
        "fraction": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        # Longer ones are taken and cut.
        "message": {"type": "string"},
    }
)
EVENT_STATE = _object({"state": _one_of("active", "cancelled")})
DONE = _object({"report": {"type": "object"}})
FAILED = _object({"message": {"type": "string"}})
ANNOUNCEMENT = _object(
    {
        "result_id": _hex(32),
        "bundle_id": _hex(64),
        "name": _text(100, 1),
        "values": VALUES,
        "seconds": {"type": ["number", "null"], "minimum": 0, "maximum": 1e9},
        "mime": _one_of("video/mp4", "image/webp"),
        "bytes": {"type": "integer", "minimum": 1, "maximum": 256 * 1024 * 1024},
        "sha256": _hex(64),
    }
)
RESULT_STATE = _object({"state": _one_of("open", "stored"), "received": COUNT})
