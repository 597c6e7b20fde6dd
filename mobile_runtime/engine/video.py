"""Frames to an MP4 file (H.264, yuv420p), with the run's settings in its comment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from .errors import EngineError

_ENCODERS = ("libx264", "h264_videotoolbox", "libopenh264")
# Visually lossless for x264; these clips are small.
_QUALITY = {"crf": "16", "preset": "medium"}


def to_frames(video: np.ndarray) -> np.ndarray:
    """A decoder's `[1, 3, T, H, W]` float in [-1, 1] to `[T, H, W, 3]` uint8, rounded.

    Raises EngineError for another shape or values that are not finite.
    """
    if video.ndim != 5 or video.shape[:2] != (1, 3):
        raise EngineError(
            f"The decoder made an array of shape {video.shape} and not [1, 3, T, H, W]; export again."
        )
    if not np.isfinite(video).all():
        raise EngineError(
            "The video holds values that are not numbers; lower the guidance or use another seed."
        )
    unit = np.clip((video[0].astype(np.float32) + 1) * np.float32(0.5), 0, 1)
    return np.ascontiguousarray(np.rint(unit * 255).astype(np.uint8).transpose(1, 2, 3, 0))


def write_mp4(
    path: Path, frames: np.ndarray, fps: float, comment: str, step: Callable[[int], None] | None = None
) -> None:
    """Encode `[T, H, W, 3]` uint8 frames; odd sizes gain a repeated last row or column. Raises EngineError.

    The file appears under its name only when it is whole. `step` is told how many frames are encoded.
    """
    encoder = next((name for name in _ENCODERS if name in av.codecs_available), None)
    if encoder is None:
        raise EngineError("This device's ffmpeg has no H.264 encoder; install the av package from PyPI.")
    count, height, width = frames.shape[:3]
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(temporary), mode="w", format="mp4") as container:
            container.metadata["comment"] = comment
            options = _QUALITY if encoder == "libx264" else {}
            stream = container.add_stream(
                encoder, rate=Fraction(fps).limit_denominator(1001), options=options
            )
            stream.width, stream.height = frames.shape[2], frames.shape[1]
            stream.pix_fmt = "yuv420p"
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(frames[index], format="rgb24")
                container.mux(stream.encode(frame))
                if step is not None:
                    step(index + 1)
            container.mux(stream.encode())
        os.replace(temporary, path)
    except (av.FFmpegError, OSError) as error:
        raise EngineError(
            f"{path.name} cannot be written ({error}); free some space or name another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
