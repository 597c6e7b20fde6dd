"""The examples in docs/protocol.md are what the bridge takes and gives, field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import schemas
from comfyui_pocketvideo.mobile_runtime.bridge.api_jobs import EVENT_FIELDS
from comfyui_pocketvideo.mobile_runtime.bridge.api_results import RESULT_FIELDS
from comfyui_pocketvideo.mobile_runtime.bridge.guards import check_fields
from comfyui_pocketvideo.mobile_runtime.bridge.status import FIELDS, DeviceStatus

DOCUMENT = Path(__file__).parents[3] / "docs" / "protocol.md"
SCHEMAS = {
    frozenset({"error"}): schemas.ERROR,
    frozenset({"app", "protocol"}): schemas.ABOUT,
    frozenset({"protocol", "name", "kind", "commitment", "token_sha256", "proof"}): schemas.INTRODUCTION,
    frozenset({"pairing_id", "desk_nonce", "expires_in", "desk"}): schemas.INTRODUCED,
    frozenset({"nonce"}): schemas.REVEAL,
    frozenset({"stage", "fraction", "message"}): schemas.EVENT,
    frozenset({"report"}): schemas.DONE,
    frozenset({"message"}): schemas.FAILED,
    frozenset({"type", "job_id", "attempt", "kind", "bundle_id", "name", "values"}): schemas.JOB,
    frozenset(RESULT_FIELDS): schemas.ANNOUNCEMENT,
    frozenset(FIELDS): schemas.STATUS,
    frozenset({"state", "received"}): schemas.RESULT_STATE,
}
# Messages that only the socket has, by type: their other fields.
SOCKET = {
    "hello": {"protocol", "device", "desk"},
    "cancel": {"job_id"},
    "renamed": {"name"},
    "revoked": set(),
    "stopping": set(),
    "error": {"error"},
    "ready": set(),
    "event": {"job_id", *EVENT_FIELDS},
    "status": set(FIELDS),
}


def examples() -> list[dict[str, Any]]:
    """Every JSON object of the document, with its placeholders filled in."""
    text = DOCUMENT.read_text(encoding="utf-8")
    text = re.sub(r'"<(\d+) hex>"', lambda match: '"' + "a" * int(match[1]) + '"', text)
    text = re.sub(r'(": )N\b', r"\g<1>1", text)
    found = re.findall(r"`(\{\"[^`]*\})`", text)
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        decoder, at = json.JSONDecoder(), 0
        while at < len(block.rstrip()):
            _, end = decoder.raw_decode(block, at)
            found.append(block[at:end])
            at = end + 1
    return [json.loads(item) for item in found]


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda item: "-".join(item)[:40])
def test_an_example_is_what_the_schema_says(example: dict[str, Any]) -> None:
    kind = example.get("type")
    if kind in SOCKET:
        assert set(example) == {"type", *SOCKET[kind]}
        example = {name: value for name, value in example.items() if name != "type"}
        if kind == "status":
            check_fields(example, FIELDS)
            DeviceStatus.read(example)
        return
    if set(example) <= {"state", "device_id"} or "..." in example.values():
        return  # answers that are spelled out beside their route
    jsonschema.validate(example, SCHEMAS[frozenset(example)])


def test_each_message_and_body_has_an_example() -> None:
    shown = {frozenset(example) for example in EXAMPLES}
    assert set(SCHEMAS) <= shown
    assert set(SOCKET) <= {example["type"] for example in EXAMPLES if "type" in example}
