"""Photos: decoding with ffmpeg, and ComfyUI's centre crop and bilinear resize in numpy."""

from __future__ import annotations

import io

import av
import numpy as np

from .errors import InputError
from .orientation import orientation, upright, without_exif

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 100_000_000
_FORMATS = (
    (b"\x89PNG\r\n\x1a\n", "png_pipe"),
    (b"\xff\xd8\xff", "jpeg_pipe"),
    (b"RIFF", "webp_pipe"),
    (b"BM", "bmp_pipe"),
)


def check_photo(data: bytes) -> str:
    """The name of ffmpeg's reader for a PNG, JPEG, WebP or BMP photo. Raises InputError for anything else.

    The format is taken from the first bytes and never guessed, so that a playlist or another container that
    would open further files is refused.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            f"The photo has {len(data)} bytes and the limit is {MAX_BYTES}; choose a smaller one."
        )
    kind = next((name for magic, name in _FORMATS if data.startswith(magic)), None)
    if kind is None:
        raise InputError("The photo is neither PNG, JPEG, WebP nor BMP; convert it to one of these.")
    return kind


def decode_photo(data: bytes) -> np.ndarray:
    """The upright pixels of a photo as `[H, W, 3]` uint8; transparency is dropped. Raises InputError."""
    kind = check_photo(data)
    try:
        with av.open(io.BytesIO(without_exif(data)), mode="r", format=kind) as container:
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MAX_PIXELS:
                raise InputError(
                    f"The photo has {width}x{height} pixels and the limit is {MAX_PIXELS}; shrink it."
                )
            frame = next(container.decode(stream))
            if frame.width * frame.height > MAX_PIXELS:
                raise InputError(f"The photo has more than {MAX_PIXELS} pixels; shrink it.")
            pixels = frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, StopIteration, IndexError, ValueError) as error:
        raise InputError(f"The photo cannot be decoded ({error}); save it again as PNG or JPEG.") from error
    return upright(pixels, orientation(data))


def crop_and_resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """ComfyUI's `common_upscale(..., "bilinear", "center")` of `[H, W, 3]` uint8.

    Returns float32 in [0, 1].
    """
    old_height, old_width = pixels.shape[:2]
    old_aspect, new_aspect = old_width / old_height, width / height
    x = y = 0
    if old_aspect > new_aspect:
        x = round((old_width - old_width * (new_aspect / old_aspect)) / 2)
    elif old_aspect < new_aspect:
        y = round((old_height - old_height * (old_aspect / new_aspect)) / 2)
    cropped = pixels[y : old_height - y, x : old_width - x]
    # Only the rows and columns that are read become floats: a photo of 50 megapixels must not take 600 MB.
    top, bottom, vertical = _taps(cropped.shape[0], height)
    left, right, horizontal = _taps(cropped.shape[1], width)
    across, down = horizontal[None, :, None], vertical[:, None, None]

    def row_pair(rows: np.ndarray) -> np.ndarray:
        lines = cropped[rows]
        scale = np.float32(1 / 255)
        first = lines[:, left].astype(np.float32) * scale
        second = lines[:, right].astype(np.float32) * scale
        return first * (1 - across) + second * across

    return row_pair(top) * (1 - down) + row_pair(bottom) * down


def _taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two source indices and the second's weight for each target index (no antialias)."""
    scale = np.float32(old) / np.float32(new)
    source = np.maximum(scale * (np.arange(new, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5), 0)
    first = np.minimum(source.astype(np.int64), old - 1)
    second = np.minimum(first + 1, old - 1)
    return first, second, (source - first).astype(np.float32)
