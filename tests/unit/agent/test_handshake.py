"""Desk and device compute the same pairing numbers; tests/vectors/pairing.json fixes them for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError
from comfyui_pocketvideo.mobile_runtime.agent.handshake import Identity, read_code, read_uri
from comfyui_pocketvideo.mobile_runtime.bridge import handshake as desk

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "pairing.json").read_text(encoding="utf-8"))[
    "cases"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_device_passes_the_vectors(case: dict[str, Any]) -> None:
    identity = Identity(case["name"], case["kind"], case["token"], bytes.fromhex(case["nonce"]))
    assert identity.commitment == case["commitment"]
    assert identity.token_sha256 == case["token_sha256"]
    assert identity.proof(bytes.fromhex(case["key"]), case["fingerprint"]) == case["proof"]
    assert identity.verification_code(case["fingerprint"], case["desk_nonce"]) == case["verification"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_desk_passes_the_vectors(case: dict[str, Any]) -> None:
    nonce = bytes.fromhex(case["nonce"])
    device = desk.Introduction(case["name"], case["kind"], case["commitment"], case["token_sha256"])
    assert desk.commitment_of(nonce) == case["commitment"]
    assert desk.token_hash(case["token"]) == case["token_sha256"]
    assert desk.proof_of(bytes.fromhex(case["key"]), case["fingerprint"], device) == case["proof"]
    code = desk.verification_code(case["fingerprint"], nonce, case["desk_nonce"], device)
    assert code == case["verification"]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.7.7", "fe80::1", "desk.local"])
def test_a_uri_is_read_as_it_was_written(host: str) -> None:
    invitation = read_uri(desk.pairing_uri(host, 8190, bytes(range(240, 256)), "ab" * 32))
    assert (invitation.host, invitation.port) == (host, 8190)
    assert (invitation.key, invitation.fingerprint) == (bytes(range(240, 256)), "ab" * 32)


def test_the_older_scheme_is_read_too_and_a_tunnels_port_may_be_left_out() -> None:
    written = desk.pairing_uri("studio.example.ts.net", 443, bytes(16), "ab" * 32)
    assert written.startswith("https://studio.example.ts.net/#s=")
    for uri in (written, written.replace("https", "pocketvideo")):
        assert (read_uri(uri).host, read_uri(uri).port) == ("studio.example.ts.net", 443)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "pocketvideo://",
        "http://127.0.0.1:1/#s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "a" * 64,
        "https://127.0.0.1:0/#s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "a" * 64,
        "pocketvideo://127.0.0.1:99999/#s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "a" * 64,
        "pocketvideo://127.0.0.1:1/#s=AAAA&f=" + "a" * 64,
        "pocketvideo://127.0.0.1:1/#s=AAAAAAAAAAAAAAAAAAAAAA",
        "pocketvideo://127.0.0.1:1/#s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "a" * 63,
        "pocketvideo://127.0.0.1:1/?s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "a" * 64,
        "pocketvideo://[::1/#s=AAAAAAAAAAAAAAAAAAAAAA&f=" + "a" * 64,
    ],
)
def test_what_is_no_pairing_address_is_refused_in_a_sentence(uri: str) -> None:
    with pytest.raises(AgentError, match="not a pairing address"):
        read_uri(uri)


def test_a_typed_code_may_hold_spaces() -> None:
    invitation = read_code("[::1]:8190", "1234 56-78")
    assert (invitation.host, invitation.port, invitation.key) == ("::1", 8190, b"12345678")


def test_identities_are_drawn_anew_each_time() -> None:
    drawn = [Identity.draw("x") for _ in range(4)]
    assert len({item.token for item in drawn}) == len({item.nonce for item in drawn}) == 4
    assert all(len(item.token) == 64 and len(item.nonce) == 16 for item in drawn)
