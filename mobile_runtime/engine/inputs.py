"""The values that a user may edit: typed, bounded, and completed with the bundle's defaults.

Values may come over a network, so a string is never taken as a path: a photo is bytes, a `pathlib.Path`
that only local code can make, or the name of a file of the bundle itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle import Bundle, Input
from .errors import InputError
from .image import MAX_BYTES, check_photo

MAX_SEED = 2**64 - 1


def resolve(bundle: Bundle, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every input of the bundle with its value: str, int, float, or bytes of a photo.

    Raises InputError naming the input, what is wrong and what is allowed.
    """
    inputs = bundle.manifest["inputs"]
    unknown = sorted(values.keys() - inputs.keys())
    if unknown:
        known = ", ".join(inputs) or "none"
        raise InputError(f"The bundle has no input {unknown[0]!r}; its inputs are: {known}.")
    return {name: _resolve(bundle, name, spec, values.get(name)) for name, spec in inputs.items()}


def describe(bundle: Bundle, values: Mapping[str, Any]) -> dict[str, Any]:
    """Resolved values as JSON can hold them: seeds as decimal strings, photos by digest."""
    specs = bundle.manifest["inputs"]
    return {name: _describe(specs[name], value) for name, value in values.items()}


def _describe(spec: Input, value: Any) -> Any:
    if spec["type"] == "image":
        return "sha256:" + hashlib.sha256(value).hexdigest()
    return str(value) if spec["type"] == "seed" else value


def _resolve(bundle: Bundle, name: str, spec: Input, given: Any) -> Any:
    value = spec["default"] if given is None else given
    if spec["type"] == "text":
        return _text(name, value, spec["max_length"])
    if spec["type"] == "seed":
        return parse_seed(name, value)
    if spec["type"] == "image":
        photo = _photo(bundle, name, value, spec["default"])
        check_photo(photo)
        return photo
    whole = spec["type"] == "integer"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"The input {name!r} must be {kind} and is {type(value).__name__}.")
    if not (math.isfinite(value) and spec["minimum"] <= value <= spec["maximum"]):
        raise InputError(
            f"The input {name!r} is {value} and must lie between {spec['minimum']} and {spec['maximum']}."
        )
    return value


def parse_seed(name: str, value: Any) -> int:
    """A seed given as an int or a decimal string. Raises InputError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
        raise InputError(f"The input {name!r} must be a whole number from 0 to 2^64-1.")
    return value


def _text(name: str, value: Any, most: int) -> str:
    if not isinstance(value, str):
        raise InputError(f"The input {name!r} must be a text and is {type(value).__name__}.")
    if len(value) > most:
        raise InputError(f"The input {name!r} has {len(value)} characters and may have {most}; shorten it.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"The input {name!r} holds a broken character; type it again.") from None
    return value


def _photo(bundle: Bundle, name: str, value: Any, default: str) -> bytes:
    if isinstance(value, str) and value == default:
        return bundle.read(default)
    if isinstance(value, Path):
        try:
            if value.stat().st_size > MAX_BYTES:
                raise InputError(
                    f"The photo for {name!r} is larger than {MAX_BYTES} bytes; choose a smaller one."
                )
            return value.read_bytes()
        except OSError as error:
            raise InputError(
                f"The photo for {name!r} cannot be read ({error.strerror}); choose another."
            ) from None
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    raise InputError(f"The input {name!r} must be a photo (its bytes) and is {type(value).__name__}.")
