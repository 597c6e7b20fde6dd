"""Videos: any size, true colours, whole files or none."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import EngineError
from comfyui_pocketvideo.mobile_runtime.engine import video as module
from comfyui_pocketvideo.mobile_runtime.engine.video import write_mp4


def clip(height: int, width: int, count: int = 5) -> np.ndarray:
    """A soft gradient that moves."""
    time, rows, columns = np.mgrid[0:count, 0:height, 0:width].astype(np.float32)
    waves = [
        np.sin((rows + time) / 9),
        np.cos((columns - time) / 11),
        np.sin((rows + columns) / 13 + time / 5),
    ]
    return np.rint(127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_file_shows_the_frames(tmp_path: Path) -> None:
    frames = clip(64, 96)
    steps: list[int] = []
    write_mp4(tmp_path / "a.mp4", frames, 12.5, "hello", steps.append)
    assert steps == [1, 2, 3, 4, 5]
    assert psnr(read(tmp_path / "a.mp4"), frames) > 30
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["comment"] == "hello"
        assert float(container.streams.video[0].average_rate) == 12.5


@pytest.mark.parametrize(("height", "width"), [(17, 23), (16, 23), (2, 2)])
def test_odd_sizes_gain_a_row_or_column(tmp_path: Path, height: int, width: int) -> None:
    write_mp4(tmp_path / "a.mp4", clip(height, width), 8, "")
    assert read(tmp_path / "a.mp4").shape == (5, height + height % 2, width + width % 2, 3)


def test_a_single_frame_is_a_video(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", clip(16, 16, 1), 24, "")
    assert read(tmp_path / "a.mp4").shape == (1, 16, 16, 3)


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mp4(tmp_path / "a.mp4", clip(16, 16), 8, "", stop)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(EngineError, match=r"a.mp4 cannot be written"):
        write_mp4(tmp_path / "file" / "a.mp4", clip(16, 16), 8, "")
    monkeypatch.setattr(module, "_ENCODERS", ("none",))
    with pytest.raises(EngineError, match=r"no H.264 encoder"):
        write_mp4(tmp_path / "a.mp4", clip(16, 16), 8, "")
