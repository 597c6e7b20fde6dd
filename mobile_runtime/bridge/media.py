"""Checks of what a device sends back, before anything keeps it (T18). No decoding happens here."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from .errors import ApiError

MAX_FRAMES = 4096
MAX_SIDE = 8192
# ISO/IEC 14496-12 top-level boxes that muxers write; anything else is a tail that another parser might run.
TOP_LEVEL_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"meta"})


# The chunks of https://developers.google.com/speed/webp/docs/riff_container that encoders write.
WEBP_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP", b"EXIF", b"XMP "})


def check_file(path: Path, mime: str) -> None:
    """Walk a file of at least one byte by its kind; ApiError 400 `wrong_kind` if it is another."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            check_video(data, mime)
        except ApiError as error:
            raise ApiError(400, "wrong_kind", error.message) from None


def check_video(data: bytes | bytearray | mmap.mmap, mime: str) -> None:
    """Walk a video of a content type that a route takes; ApiError 400 `bad_request` names what is wrong."""
    {"video/mp4": check_mp4, "image/webp": check_webp}[mime](data)


def frame_shape(frames: str, height: str, width: str, length: int) -> tuple[int, int, int]:
    """The shape (T, H, W) that a query names, if `length` bytes of RGB24 fit it; else ApiError 400."""
    if not all(text.isascii() and text.isdigit() and len(text) <= 5 for text in (frames, height, width)):
        raise ApiError(400, "bad_request", "Frames, height and width must be whole numbers.")
    shape = int(frames), int(height), int(width)
    if not (1 <= shape[0] <= MAX_FRAMES and 1 <= shape[1] <= MAX_SIDE and 1 <= shape[2] <= MAX_SIDE):
        raise ApiError(
            400, "bad_request", f"A result has 1 to {MAX_FRAMES} frames with sides of 1 to {MAX_SIDE} pixels."
        )
    expected = shape[0] * shape[1] * shape[2] * 3
    if expected != length:
        raise ApiError(
            400,
            "bad_request",
            f"{shape[0]} frames of {shape[2]}x{shape[1]} in RGB24 are {expected} bytes, but {length} came.",
        )
    return shape


def check_mp4(data: bytes | bytearray | mmap.mmap) -> None:
    """Walk the top-level boxes of an MP4 to its last byte; ApiError 400 names what is wrong."""
    position = 0
    seen: list[bytes] = []
    while position < len(data):
        if len(data) - position < 8:
            raise _bad(f"{len(data) - position} stray bytes at the end")
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            if len(data) - position < 16:
                raise _bad("a box header is cut off")
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        # A size of 0 ("to the end of the file") would swallow any tail, so it is refused.
        if size < header or size > len(data) - position:
            raise _bad("a box's size is wrong")
        if kind not in TOP_LEVEL_BOXES:
            raise _bad("it holds an unknown box")
        if (kind == b"ftyp") != (position == 0):
            raise _bad("it does not start with one ftyp box")
        seen.append(kind)
        position += size
    if seen.count(b"moov") != 1 or b"mdat" not in seen:
        raise _bad("it needs one moov box and an mdat box")


def check_webp(data: bytes | bytearray | mmap.mmap) -> None:
    """Walk the chunks of a WebP to its last byte; ApiError 400 names what is wrong."""
    if len(data) < 20 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise _bad_webp("it does not start with a RIFF header")
    if struct.unpack_from("<I", data, 4)[0] != len(data) - 8:
        raise _bad_webp("its header names another length")
    position = 12
    seen: set[bytes] = set()
    while position < len(data):
        if len(data) - position < 8:
            raise _bad_webp("stray bytes at the end")
        kind, size = struct.unpack_from("<4sI", data, position)
        if kind not in WEBP_CHUNKS:
            raise _bad_webp("it holds an unknown chunk")
        seen.add(kind)
        position += 8 + size + size % 2
    if position != len(data):
        raise _bad_webp("a chunk is cut off")
    if not seen & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise _bad_webp("it holds no picture")


def _bad_webp(why: str) -> ApiError:
    return ApiError(400, "bad_request", f"The picture is not a plain WebP file: {why}.")


def _bad(why: str) -> ApiError:
    return ApiError(400, "bad_request", f"The video is not a plain MP4 file: {why}.")
