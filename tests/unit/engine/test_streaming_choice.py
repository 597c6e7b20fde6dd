"""What is held and whether a thread reads ahead follows from sizes and times."""

from __future__ import annotations

import mmap
import threading
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import WeightsError
from comfyui_pocketvideo.mobile_runtime.engine import InputError
from comfyui_pocketvideo.mobile_runtime.engine.memory import PeakMeter, megabytes, parse_bytes, peak_rss_bytes
from comfyui_pocketvideo.mobile_runtime.engine.streaming.choice import Load, hold, pays, spread
from comfyui_pocketvideo.mobile_runtime.engine.streaming.reader import Reader, Stopped, read
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(1, 1000), max_size=70), st.integers(-100, 40_000))
def test_what_is_held_fits_and_nothing_more_would(sizes: list[int], free: int) -> None:
    held = hold(sizes, free)
    left = free - sum(sizes[index] for index in held)
    assert left >= 0 or not held
    assert all(sizes[index] > left for index in range(len(sizes)) if index not in held)


def test_held_files_lie_evenly_over_the_pass() -> None:
    assert sorted(spread(13)) == list(range(13)) and spread(1) == [0] and spread(0) == []
    held = sorted(hold([10] * 16, 40))
    assert held == [0, 4, 8, 12]


def test_a_thread_pays_when_storage_keeps_waiting_and_not_when_the_cache_answers() -> None:
    cold, cached = Load(0.050, 0.005, 10**7), Load(0.050, 0.005, 0)
    assert pays([cold] * 8, [0.04] * 8)
    assert not pays([cached] * 8, [0.04] * 8), "a wait without storage is the wait for a core"
    assert not pays([Load(0.006, 0.005, 10**6)] * 8, [0.04] * 8), "reading costs more than it hides"
    assert not pays([cold] * 8, [0.001] * 8), "there is nothing to hide behind"
    assert pays([Load(0.050, 0.005, None)] * 8, [0.04] * 8), "a system that does not count is believed"
    assert not pays([], [0.04]) and not pays([cold], [])


def test_reading_tells_a_short_file_and_stops_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(5 * 2**20))
    load = read(path, 5 * 2**20)
    assert load.busy >= 0 and load.seconds > 0 and load.waiting >= 0
    with pytest.raises(WeightsError, match="has 5242880 bytes and should have 6291456"):
        read(path, 6 * 2**20)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        read(path, 5 * 2**20, stop)


def test_the_reader_has_one_thread_that_ends_with_it(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(bytes(3 * 2**20))
    reader = Reader()
    before = threading.active_count()
    assert reader.finish(path) is None and threading.active_count() == before
    reader.start(path, 3 * 2**20)
    reader.start(path, 3 * 2**20)
    assert threading.active_count() == before + 1
    assert isinstance(reader.finish(path), Load)
    reader.start(other, 1)
    with pytest.raises(FileNotFoundError):
        reader.finish(other)
    reader.start(path, 3 * 2**20)
    reader.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("text", "count"),
    [("300MB", 300_000_000), ("1.5 gib", 3 * 2**29), ("2000000", 2_000_000), ("64KiB", 65536), ("1G", 10**9)],
)
def test_sizes_are_read_as_people_write_them(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "0", "1TB", "1e9", "12 parsecs"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write it like 300MB"):
        parse_bytes(text)


def test_sizes_in_sentences_are_rounded_up() -> None:
    assert megabytes(1) == "1 MB" and megabytes(2_000_000) == "2 MB" and megabytes(2_000_001) == "3 MB"


def test_the_peak_can_be_measured_from_now_and_is_never_lost() -> None:
    meter = PeakMeter()
    # Straight from the system: what Python frees it may keep.
    with mmap.mmap(-1, 64 * 2**20) as block:
        block.write(b"1" * len(block))
        high = peak_rss_bytes() or 0
    meter.restart()
    assert meter.now() < high - 32 * 2**20
    # The kernel's own count of a peak is exact to some pages per core.
    assert (meter.highest() or 0) >= high - 2**20
