"""Text from a device, made or found safe to show: hostile names stay names (T14)."""

from __future__ import annotations

import unicodedata

from .errors import ApiError

MAX_NAME = 64
# Separators that only look blank, and every control, format, surrogate, private or unassigned character.
REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain_name(text: str) -> str:
    """A device name safe to show in one line of plain text (T14); ApiError 400 otherwise."""
    refused = any(unicodedata.category(char) in REFUSED_CATEGORIES for char in text)
    if not 1 <= len(text) <= MAX_NAME or text != text.strip() or refused:
        raise ApiError(400, "bad_request", f"A device's name is 1 to {MAX_NAME} printable characters.")
    return text


def plain_line(text: str, longest: int) -> str:
    """Any text as one line of at most `longest` characters; control and direction characters are spaces."""
    kept = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[:longest])
    return " ".join(kept.split())
