"""JSON that a stranger wrote: bounded in size and depth, no NaN, no repeated keys, one canonical form.

The canonical form is UTF-8, sorted keys and no spaces, so equal manifests have equal digests.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .errors import ManifestError

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 24
MAX_INTEGER_DIGITS = 20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.S)
_BRACKET = re.compile(rb"[\[\]{}]")


def dumps(value: Any) -> bytes:
    """The canonical bytes of a JSON value.

    Raises ManifestError when the value holds NaN, an infinity or something that is not JSON.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ManifestError(
            f"The manifest cannot be written as JSON ({error}); correct that value."
        ) from None


def loads(data: bytes, what: str) -> Any:
    """Parse JSON bytes strictly; `what` names the file in errors.

    Raises ManifestError for anything that is too large, too deep, ambiguous or not JSON.
    """
    if len(data) > MAX_BYTES:
        raise ManifestError(
            f"{what} has {len(data)} bytes and the limit is {MAX_BYTES}; export a smaller bundle."
        )
    _check_depth(data, what)
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded_int,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{what} is not valid JSON ({error}); send the bundle again.") from None


def _check_depth(data: bytes, what: str) -> None:
    depth = 0
    for match in _BRACKET.finditer(_STRING.sub(b"", data)):
        depth += 1 if match.group() in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ManifestError(f"{what} is nested deeper than {MAX_DEPTH} levels; send the bundle again.")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        raise ValueError(f"an integer has {len(text)} digits")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {repeated[:40]!r} is given twice")
    return result
