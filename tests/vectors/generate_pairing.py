"""Writes pairing.json from docs/protocol.md section 4, alone: `python tests/vectors/generate_pairing.py`.

Imports neither the bridge nor the agent, so that a mistake in one of them cannot become the truth.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

# name, kind, key, nonce, desk nonce, fingerprint, token
DRAWN = (
    (
        "Kitchen tablet",
        "agent",
        bytes(range(16)),
        bytes(range(16, 32)),
        "00112233445566778899aabbccddeeff",
        "ab" * 32,
        "0123456789abcdef" * 4,
    ),
    ("Telefon \u00fcber alles \u2603", "phone", b"01234567", b"\xff" * 16, "f" * 32, "0" * 64, "f" * 64),
)


def lines(*parts: str) -> bytes:
    return "\n".join(parts).encode("utf-8")


def vectors() -> dict[str, object]:
    """The file's contents."""
    cases = []
    for name, kind, key, nonce, desk_nonce, fingerprint, token in DRAWN:
        commitment = hashlib.sha256(nonce).hexdigest()
        token_sha256 = hashlib.sha256(token.encode("ascii")).hexdigest()
        shown = lines("pocketvideo-verify-1", fingerprint, nonce.hex(), desk_nonce, token_sha256, name, kind)
        asked = lines("pocketvideo-pair-1", fingerprint, commitment, token_sha256, name, kind)
        number = int.from_bytes(hashlib.sha256(shown).digest()[:8], "big") % 1_000_000
        cases.append(
            {
                "name": name,
                "kind": kind,
                "key": key.hex(),
                "nonce": nonce.hex(),
                "desk_nonce": desk_nonce,
                "fingerprint": fingerprint,
                "token": token,
                "commitment": commitment,
                "token_sha256": token_sha256,
                "proof": hmac.new(key, asked, hashlib.sha256).hexdigest(),
                "verification": f"{number:06d}",
            }
        )
    return {"about": "Golden vectors of docs/protocol.md section 4; bytes in hex.", "cases": cases}


if __name__ == "__main__":
    text = json.dumps(vectors(), indent=1) + "\n"
    Path(__file__).with_name("pairing.json").write_text(text, encoding="utf-8")
