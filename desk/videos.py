"""A device's video with the workflow in its metadata, as ComfyUI's own nodes write and its page reads it.

The file comes from outside: it is parsed whole, only its one video stream is taken over, its own metadata are
left behind, and what cannot be parsed is refused. The pictures themselves are not encoded again.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import DeskError

MP4, WEBP = "video/mp4", "image/webp"
EXTENSIONS = {MP4: ".mp4", WEBP: ".webp"}
CODECS = frozenset({"h264", "hevc", "av1", "vp9"})
MAX_SIDE = 8192
MAX_FRAMES = 4096
# Tags of TIFF that ComfyUI's page looks into: the first for the prompt, downwards from the second for more.
PROMPT_TAG, FIRST_TAG = 0x0110, 0x010F
# WebP's container (RFC 9649): chunks of a picture, and the flag in VP8X that says there is Exif.
_STILL, _ANIMATED = (b"VP8 ", b"VP8L"), b"ANMF"
_KNOWN = frozenset({*_STILL, _ANIMATED, b"VP8X", b"ANIM", b"ALPH"})
_EXIF_FLAG, _KEPT_FLAGS = 0x08, 0x12  # alpha and animation stay; profiles and texts are left out


class VideoRefused(DeskError):
    """The file is not what it says, or not what a device makes."""


def tagged_video(source: Path, mime: str, target: Path, tags: Mapping[str, Any]) -> None:
    """Write a device's video with these tags (JSON values) into `target`, a file that is written over.

    Raises VideoRefused for a file that cannot be parsed.
    """
    if mime == MP4:
        _tag_mp4(source, target, tags)
    elif mime == WEBP:
        target.write_bytes(_tag_webp(source.read_bytes(), tags))
    else:
        raise VideoRefused(
            f"A device's video is MP4 or WebP, not {mime!r:.40}: send it again as one of them."
        )


def _tag_mp4(source: Path, target: Path, tags: Mapping[str, Any]) -> None:
    import av

    options = {"movflags": "use_metadata_tags+faststart"}
    try:
        # The format is named so that no other parser is tried on a stranger's bytes.
        with (
            av.open(str(source), format="mp4") as given,
            av.open(str(target), "w", format="mp4", options=options) as made,
        ):
            stream = _checked_stream(given)
            for name, value in tags.items():
                made.metadata[name] = json.dumps(value)
            copied = made.add_stream_from_template(stream, opaque=True)
            packets = 0
            for packet in given.demux(stream):
                if packet.dts is None:
                    continue
                packets += 1
                if packets > MAX_FRAMES:
                    raise VideoRefused(f"The video has more than {MAX_FRAMES} frames: send a shorter one.")
                packet.stream = copied
                made.mux(packet)
        with av.open(str(target)) as written:
            if next(written.decode(video=0), None) is None:
                raise VideoRefused("The video holds no picture: send it again.")
    except (av.error.FFmpegError, ValueError, IndexError, RuntimeError) as error:
        if isinstance(error, VideoRefused):
            raise
        raise VideoRefused(f"The video cannot be read ({str(error)[:200]}): send it again.") from error


def _checked_stream(given: Any) -> Any:
    streams = list(given.streams.video)
    if len(streams) != 1:
        raise VideoRefused(f"The file has {len(streams)} video streams: send one with one.")
    context = streams[0].codec_context
    if context is None or (context.name not in CODECS and context.codec.canonical_name not in CODECS):
        raise VideoRefused(f"The video's codec is none of {', '.join(sorted(CODECS))}: send another.")
    if not (0 < context.width <= MAX_SIDE and 0 < context.height <= MAX_SIDE):
        raise VideoRefused(f"The video's sides are not 1 to {MAX_SIDE} pixels: send a smaller one.")
    return streams[0]


def _tag_webp(data: bytes, tags: Mapping[str, Any]) -> bytes:
    chunks = list(_webp_chunks(data))
    size = _checked_picture(data)
    flags = next((body[0] & _KEPT_FLAGS for kind, body in chunks if kind == b"VP8X" and len(body) == 10), 0)
    if any(kind == b"VP8L" and len(body) > 4 and body[4] & 0x10 for kind, body in chunks):
        flags |= 0x10  # a lossless picture says itself that it has alpha
    exif = _exif(tags)
    header = bytes([flags | (_EXIF_FLAG if exif else 0), 0, 0, 0])
    header += b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    kept = [(kind, body) for kind, body in chunks if kind in _KNOWN and kind != b"VP8X"]
    made = [(b"VP8X", header), *kept, *([(b"EXIF", exif)] if exif else [])]
    payload = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for kind, body in made
    )
    return b"RIFF" + struct.pack("<I", len(payload)) + payload


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    whole = len(data) >= 12 and data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not whole or struct.unpack_from("<I", data, 4)[0] != len(data) - 8:
        raise VideoRefused("The picture is not a whole WebP file: send it again.")
    position, frames = 12, 0
    while position < len(data):
        if len(data) - position < 8:
            raise VideoRefused("The WebP file ends in the middle: send it again.")
        kind, size = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + size]
        if len(body) != size:
            raise VideoRefused("The WebP file ends in the middle: send it again.")
        frames += kind in (*_STILL, _ANIMATED)
        if frames > MAX_FRAMES:
            raise VideoRefused(f"The picture has more than {MAX_FRAMES} frames: send a shorter one.")
        yield kind, body
        position += 8 + size + size % 2


def _checked_picture(data: bytes) -> tuple[int, int]:
    """Decode every frame, and give width and height."""
    import io

    from PIL import Image, ImageSequence

    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as picture:
            if not (0 < picture.width <= MAX_SIDE and 0 < picture.height <= MAX_SIDE):
                raise VideoRefused(f"The picture's sides are not 1 to {MAX_SIDE} pixels: send a smaller one.")
            for frame in ImageSequence.Iterator(picture):
                frame.load()
            return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoRefused(f"The picture cannot be read ({str(error)[:200]}): send it again.") from error


def _exif(tags: Mapping[str, Any]) -> bytes:
    from PIL import Image

    exif = Image.Exif()
    others = FIRST_TAG
    for name, value in tags.items():
        tag = PROMPT_TAG if name == "prompt" else others
        others -= tag != PROMPT_TAG
        exif[tag] = f"{name}:{json.dumps(value)}"
    return exif.tobytes().removeprefix(b"Exif\0\0") if tags else b""
