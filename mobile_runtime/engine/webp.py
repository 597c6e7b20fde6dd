"""Frames to an animated WebP, as ComfyUI's Save Animated WEBP writes one, with the run's settings as XMP."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from xml.sax.saxutils import escape

import av
import numpy as np

from .errors import EngineError

_ENCODER = "libwebp_anim"
# The bit of the file's VP8X header that says that an XMP chunk follows.
_HAS_XMP = 0x04
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>'
    '<rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description></rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)


def write_webp(
    path: Path,
    frames: np.ndarray,
    fps: float,
    comment: str,
    step: Callable[[int], None] | None = None,
    *,
    lossless: bool,
    quality: int,
    effort: int,
) -> None:
    """Encode `[T, H, W, 3]` uint8 frames; each is shown for int(1000 / fps) ms, the animation repeats.

    Args:
        quality: 0 to 100; of the picture, or, where it is lossless, of the search for small files.
        effort: libwebp's method, 0 (fast) to 6 (small).
        step: told how many frames are encoded.

    The file appears under its name only when it is whole. Raises EngineError.
    """
    if _ENCODER not in av.codecs_available:
        raise EngineError("This device's ffmpeg cannot write WebP; install the av package from PyPI.")
    count, height, width = frames.shape[:3]
    milliseconds = max(1, int(1000 / fps))
    temporary = path.with_name(f".{path.name}.part")
    options = {"lossless": str(int(lossless)), "quality": str(quality), "compression_level": str(effort)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(temporary), mode="w", format="webp", options={"loop": "0"}) as container:
            stream = container.add_stream(_ENCODER, rate=Fraction(1000, milliseconds), options=options)
            stream.width, stream.height = width, height
            # A lossless picture keeps its RGB; a lossy one is YUV in any WebP.
            stream.pix_fmt = "bgra" if lossless else "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(frames[index], format="rgb24")
                frame.pts, frame.time_base = index * milliseconds, Fraction(1, 1000)
                container.mux(stream.encode(frame))
                if step is not None:
                    step(index + 1)
            container.mux(stream.encode())
        temporary.write_bytes(_with_xmp(temporary.read_bytes(), comment))
        os.replace(temporary, path)
    except (av.FFmpegError, OSError) as error:
        raise EngineError(
            f"{path.name} cannot be written ({error}); free some space or name another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _with_xmp(data: bytes, comment: str) -> bytes:
    """The same WebP with a description; a single still picture, which has no VP8X header, stays as it is."""
    if data[12:16] != b"VP8X":
        return data
    text = _XMP.format(escape(comment)).encode("utf-8")
    chunk = b"XMP " + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    flags = bytes([data[20] | _HAS_XMP])
    return b"RIFF" + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:20] + flags + data[21:] + chunk
