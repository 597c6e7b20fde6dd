"""The progress line of long stages, in a log file and on a terminal."""

from __future__ import annotations

import io
import time

import pytest

import progress
from progress import Stage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def wait_for(stream: io.StringIO, text: str) -> None:
    deadline = time.monotonic() + 60
    while text not in stream.getvalue():
        assert time.monotonic() < deadline, stream.getvalue()
        time.sleep(0.01)


def test_a_log_gets_lines_and_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.01)
    stream = io.StringIO()
    with Stage("Installing", 30, stream) as stage:
        stage.note("collecting torch")
        wait_for(stream, "collecting torch")

    lines = stream.getvalue().splitlines()
    assert lines[0] == "Installing (usually about 30 s)"
    assert lines[-1].startswith("Installing: done in ")
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_bar_that_moves_while_a_tool_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.01)
    stream = Terminal()
    with Stage("Installing", 0.1, stream):
        wait_for(stream, "[#")

    assert stream.getvalue().endswith("\n")


def test_a_stage_that_fails_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(OSError), Stage("Installing", 30, stream):
        raise OSError

    assert "Installing: stopped in " in stream.getvalue()
