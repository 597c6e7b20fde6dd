"""How a photo was held: EXIF's orientation in JPEG, PNG and WebP, and pixels turned by it.

ffmpeg tells the angle alone and not whether the picture is also mirrored (orientations 2, 4, 5 and 7).
After EXIF 2.32 (CIPA DC-008), tag 0x0112 of a TIFF header, which PNG keeps in an eXIf chunk and WebP in EXIF.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

_TAG, _SHORT, _ENTRY = 0x0112, 3, 12
_PREFIX = b"Exif\0\0"
# Whose stored picture begins at the right, at the bottom, or runs down its columns.
_RIGHT, _BOTTOM, _COLUMNS = (2, 3, 7, 8), (3, 4, 6, 7), (5, 6, 7, 8)
_START_OF_SCAN, _APP1 = 0xDA, 0xE1


def orientation(data: bytes) -> int:
    """1 to 8 as EXIF counts them; 1, upright, where the photo says nothing, or nothing that can be read."""
    return _of_tiff(next(_exif(data), b"").removeprefix(_PREFIX))


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels `[H, W, C]` as they are to be seen."""
    if orientation in _RIGHT:
        pixels = pixels[:, ::-1]
    if orientation in _BOTTOM:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if orientation in _COLUMNS else pixels)


def without_exif(data: bytes) -> bytes:
    """A PNG without its EXIF, as ffmpeg refuses the whole picture where that is damaged; others as given."""
    if data.startswith(b"\x89PNG"):
        for kind, begin, end in _png_chunks(data):
            if kind == b"eXIf":
                return data[: begin - 8] + data[end + 4 :]
    return data


def _exif(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"\xff\xd8"):
        yield from (body for kind, body in _segments(data) if kind == _APP1 and body.startswith(_PREFIX))
    elif data.startswith(b"\x89PNG"):
        yield from (data[begin:end] for kind, begin, end in _png_chunks(data) if kind == b"eXIf")
    elif data.startswith(b"RIFF"):
        yield from (data[begin:end] for kind, begin, end in _webp_chunks(data) if kind == b"EXIF")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers of a JPEG with their bodies, up to the picture itself."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _START_OF_SCAN:
        if data[at + 1] == 0xFF:  # A fill byte before the marker.
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kinds of chunks, and where their bodies begin and end; a checksum of four bytes follows each."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kinds of chunks, and where their bodies begin and end; each is padded to an even length."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, at + 8 + length
        at += 8 + length + length % 2


def _of_tiff(tiff: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (begin,) = struct.unpack_from(order + "I", tiff, 4)
    if begin + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, begin)
    for at in range(begin + 2, min(begin + 2 + count * _ENTRY, len(tiff) - _ENTRY + 1), _ENTRY):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == _TAG:
            return value if kind == _SHORT and 1 <= value <= 8 else 1
    return 1
