"""A device's video gets the workflow into its metadata, and a stranger's file is refused (T18)."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from comfyui_pocketvideo.desk.videos import MP4, WEBP, VideoRefused, tagged_video
from PIL import Image, ImageSequence

TAGS = {"prompt": {"1": {"class_type": "A", "inputs": {"text": "\u00e4 \u732b"}}}, "workflow": {"nodes": []}}


def mp4(path: Path, frames: int = 5, codec: str = "libx264", **metadata: str) -> Path:
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as made:
        stream = made.add_stream(codec, rate=Fraction(12))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        made.metadata.update(metadata)
        for index in range(frames):
            picture = np.full((64, 64, 3), 40 * index, np.uint8)
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        made.mux(stream.encode())
    return path


def webp(path: Path, frames: int = 4, **options: Any) -> Path:
    pictures = [Image.new("RGBA", (32, 24), (60 * index, 10, 200, 128 + index)) for index in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:], "duration": 80} if frames > 1 else {}
    pictures[0].save(path, format="WEBP", **more, **options)
    return path


def pictures_of(path: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path)) as opened:
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]


def test_an_mp4_keeps_its_pictures_and_gets_the_tags_of_save_video(tmp_path: Path) -> None:
    source = mp4(tmp_path / "in.mp4", comment="from a stranger", workflow="evil")
    tagged_video(source, MP4, tmp_path / "out.mp4", TAGS)
    with av.open(str(tmp_path / "out.mp4")) as made:
        told = dict(made.metadata)
        assert made.streams.video[0].average_rate == 12
    assert {name: json.loads(told[name]) for name in TAGS} == TAGS
    assert "comment" not in told
    pairs = zip(pictures_of(source), pictures_of(tmp_path / "out.mp4"), strict=True)
    assert all(np.array_equal(before, after) for before, after in pairs)
    # The index is in front, so that a page can play it before the whole is there.
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 70}])
def test_a_webp_keeps_its_pictures_and_gets_the_exif_of_save_animated_webp(
    tmp_path: Path, frames: int, options: dict[str, Any]
) -> None:
    source = webp(tmp_path / "in.webp", frames, **options)
    tagged_video(source, WEBP, tmp_path / "out.webp", TAGS)
    with Image.open(source) as before, Image.open(tmp_path / "out.webp") as after:
        exif = after.getexif()
        assert json.loads(exif[0x0110].removeprefix("prompt:")) == TAGS["prompt"]
        assert json.loads(exif[0x010F].removeprefix("workflow:")) == TAGS["workflow"]
        assert after.size == before.size
        ours = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(after)]
        theirs = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(before)]
    assert len(ours) == frames
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_webps_own_metadata_stay_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "workflow:evil"
    source = webp(tmp_path / "in.webp", exif=exif.tobytes(), xmp=b"<x>tracking</x>")
    tagged_video(source, WEBP, tmp_path / "out.webp", {})
    data = (tmp_path / "out.webp").read_bytes()
    assert b"evil" not in data
    assert b"tracking" not in data


def corrupt(data: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "text": b"<html>not a video</html>",
        "half": data[: len(data) // 2],
        "tail": data + b"PK\x03\x04 and more",
        "lies": data[:4] + b"\xff\xff\xff\x7f" + data[8:],
    }


@pytest.mark.parametrize("kind", ["empty", "text", "half", "tail", "lies"])
def test_t18_a_webp_that_is_not_whole_is_refused(tmp_path: Path, kind: str) -> None:
    source = webp(tmp_path / "in.webp")
    source.write_bytes(corrupt(source.read_bytes())[kind])
    with pytest.raises(VideoRefused, match=r"send it again\.$"):
        tagged_video(source, WEBP, tmp_path / "out.webp", TAGS)


@pytest.mark.parametrize("kind", ["empty", "text", "half"])
def test_t18_an_mp4_that_cannot_be_parsed_is_refused(tmp_path: Path, kind: str) -> None:
    source = mp4(tmp_path / "in.mp4")
    source.write_bytes(corrupt(source.read_bytes())[kind])
    with pytest.raises(VideoRefused):
        tagged_video(source, MP4, tmp_path / "out.mp4", TAGS)


def test_t18_only_a_videos_own_kinds_and_codecs_pass(tmp_path: Path) -> None:
    with pytest.raises(VideoRefused, match="MP4 or WebP"):
        tagged_video(mp4(tmp_path / "a.mp4"), "image/svg+xml", tmp_path / "b.svg", TAGS)
    # A playlist that another parser would follow to other files.
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(VideoRefused):
        tagged_video(tmp_path / "list.mp4", MP4, tmp_path / "c.mp4", TAGS)
    with pytest.raises(VideoRefused, match="codec is none of"):
        tagged_video(mp4(tmp_path / "d.mp4", codec="mpeg4"), MP4, tmp_path / "e.mp4", TAGS)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format="PNG")
    (tmp_path / "f.webp").write_bytes(buffer.getvalue())
    with pytest.raises(VideoRefused):
        tagged_video(tmp_path / "f.webp", WEBP, tmp_path / "g.webp", TAGS)
