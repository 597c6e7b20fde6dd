"""The OpenAPI document of the bridge, made from the route table (docs/protocol.md section 16).

`OPERATIONS` says of each route what the table does not: a summary, its query, its body and its answers. What
is true of every route (the error body, who may call it, the path's variables) is added from the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .guards import PROTOCOL, Access, Route
from .schemas import (
    ABOUT,
    ANNOUNCEMENT,
    COUNT,
    DEVICE,
    DONE,
    ERROR,
    EVENT,
    EVENT_STATE,
    FAILED,
    INTRODUCED,
    INTRODUCTION,
    JOB,
    PAIRING_STATE,
    RESULT_STATE,
    REVEAL,
    STATUS,
    WAITING,
    Schema,
)

JSON = "application/json"
BINARY = "application/octet-stream"
# What any route may answer (docs/protocol.md section 2), by status.
ANY = {
    400: "bad request",
    403: "wrong origin",
    404: "not found",
    405: "method not allowed",
    408: "too slow",
    411: "length required",
    413: "too large",
    415: "wrong content type",
    421: "wrong host",
    500: "internal error",
    503: "stopping",
}
WAIT = {"name": "wait", "in": "query", "schema": {"type": "number", "minimum": 0, "maximum": 25}}

Answers: TypeAlias = dict[int, tuple[str, Schema | None]]


@dataclass(frozen=True)
class Operation:
    """One route: `body` is the schema of a JSON body, `answers` maps a status to (content type, schema)."""

    summary: str
    answers: Answers
    body: Schema | None = None
    query: tuple[dict[str, Any], ...] = ()
    errors: dict[int, str] = field(default_factory=dict)


NOTHING: Answers = {204: ("", None)}
PAGE: Answers = {200: ("text/html", None)}
FILE: Answers = {200: ("*/*", None), 206: ("*/*", None), 304: ("", None)}
OVER = {409: "came already", 410: "the job is over"}

OPERATIONS: dict[str, Operation] = {
    "GET /v1/about": Operation("What this is.", {200: (JSON, ABOUT)}),
    "GET /v1/ca": Operation("The certificate authority, DER.", {200: ("application/pkix-cert", None)}),
    "POST /v1/pairings": Operation(
        "Introduce a device to the open offer.",
        {201: (JSON, INTRODUCED)},
        INTRODUCTION,
        errors={410: "no offer", 429: "locked"},
    ),
    "POST /v1/pairings/{pairing_id}/reveal": Operation(
        "Give the nonce behind the commitment.",
        {200: (JSON, WAITING)},
        REVEAL,
        errors={409: "already revealed"},
    ),
    "GET /v1/pairings/{pairing_id}": Operation(
        "Wait for the user's decision.", {200: (JSON, PAIRING_STATE)}, query=(WAIT,)
    ),
    "GET /v1/device": Operation("The device's own entry.", {200: (JSON, DEVICE)}),
    "DELETE /v1/device": Operation("The device revokes itself.", NOTHING),
    "PUT /v1/device/status": Operation("What the device says of itself.", NOTHING, STATUS),
    "GET /v1/socket": Operation("Upgrade to a WebSocket (section 10).", {101: ("", None)}),
    "GET /v1/jobs/next": Operation("Wait for work.", {200: (JSON, JOB), **NOTHING}, query=(WAIT,)),
    "GET /v1/bundles/{bundle_id}/manifest": Operation("A bundle's manifest.", {200: (JSON, None)}),
    "GET /v1/blobs/{sha256}": Operation(
        "A file of a bundle, whole or from a byte on.",
        {200: (BINARY, None), 206: (BINARY, None)},
        errors={416: "bad range", 429: "too many transfers"},
    ),
    "POST /v1/jobs/{job_id}/events": Operation(
        "Report progress.", {200: (JSON, EVENT_STATE)}, EVENT, errors={410: "the job is over"}
    ),
    "PUT /v1/jobs/{job_id}/result/frames": Operation(
        "The frames, RGB24.",
        NOTHING,
        query=tuple(
            {"name": name, "in": "query", "required": True, "schema": {**COUNT, "minimum": 1}}
            for name in ("frames", "height", "width")
        ),
        errors=OVER,
    ),
    "PUT /v1/jobs/{job_id}/result/video": Operation("The video, MP4 or animated WebP.", NOTHING, errors=OVER),
    "POST /v1/jobs/{job_id}/done": Operation(
        "The job is done.", NOTHING, DONE, errors={409: "incomplete", 410: "the job is over"}
    ),
    "POST /v1/jobs/{job_id}/failed": Operation(
        "The job failed.", NOTHING, FAILED, errors={410: "the job is over"}
    ),
    "POST /v1/results": Operation(
        "Announce a result that the device made alone.",
        {200: (JSON, RESULT_STATE), 201: (JSON, RESULT_STATE)},
        ANNOUNCEMENT,
        errors={409: "conflict", 429: "too many", 507: "no space"},
    ),
    "PUT /v1/results/{result_id}": Operation(
        "The bytes of a result, whole or from a byte on.",
        {200: (JSON, RESULT_STATE), **NOTHING},
        errors={409: "busy, or wrong offset", 507: "no space"},
    ),
    "GET /v1/openapi.json": Operation("This document.", {200: (JSON, {"type": "object"})}),
    "GET /": Operation("The phone's app, or the trust page.", {**PAGE, 304: ("", None)}),
    "GET /trust": Operation("The trust page.", PAGE),
    "GET /trust.css": Operation("Its style sheet.", {200: ("text/css", None)}),
    "GET /ca.crt": Operation("The authority as a download.", {200: ("application/x-x509-ca-cert", None)}),
    "GET /ca.mobileconfig": Operation(
        "The authority as an Apple profile.", {200: ("application/x-apple-aspen-config", None)}
    ),
    "GET /{file}": Operation("A file of the phone's app.", FILE, errors={416: "bad range"}),
}


def document(routes: Iterable[Route], patterns: dict[str, str]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `routes`, whose path variables have the regular expressions `patterns`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = OPERATIONS[f"{route.method} {route.path}"]
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, operation, patterns)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PocketVideo bridge",
            "version": PROTOCOL,
            "description": "Every request but GET carries Origin: https://HOST. See docs/protocol.md.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {"device": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, operation: Operation, patterns: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": operation.summary, "responses": _responses(route, operation)}
    variables = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{patterns[name]}$"},
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if variables or operation.query:
        made["parameters"] = [*variables, *operation.query]
    if route.access is Access.PAIRED:
        made["security"] = [{"device": []}]
    if route.body:
        kinds = (route.body, *route.also)
        content = {kind: {"schema": operation.body} if operation.body else {} for kind in kinds}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _responses(route: Route, operation: Operation) -> dict[str, Any]:
    errors = {**ANY, **operation.errors}
    if route.access is Access.PAIRED:
        errors[401] = "not paired, or revoked"
    made: dict[str, Any] = {}
    for status, (kind, schema) in operation.answers.items():
        made[str(status)] = {"description": operation.summary}
        if kind:
            made[str(status)]["content"] = {kind: {"schema": schema} if schema else {}}
    for status, words in errors.items():
        content = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
        made[str(status)] = {"description": words, "content": content}
    return dict(sorted(made.items()))
