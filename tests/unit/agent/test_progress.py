"""The progress line: a bar for a person, plain lines for a log."""

from __future__ import annotations

import io

from comfyui_pocketvideo.mobile_runtime.agent.progress import BAR, ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_bar_that_is_rewritten() -> None:
    terminal = Terminal()
    line = ProgressLine(terminal)
    line.show("run", 0.5, "denoise: step 12 of 25")
    line.show("run", 1.0, "done")
    line.say("The result is at the desk.")
    shown = terminal.getvalue()
    assert shown.count("\n") == 2 and shown.count("\r") == 2
    assert f"[{'#' * (BAR // 2)}{'.' * (BAR // 2)}]  50% denoise" in shown
    assert f"[{'#' * BAR}] 100%" in shown


def test_a_log_gets_one_line_per_stage() -> None:
    log = io.StringIO()
    line = ProgressLine(log)
    for step in range(100):
        line.show("download", step / 100, f"file {step}")
    line.show("verify", None, "checking")
    assert log.getvalue() == "download: file 0\nverify: checking\n"


def test_a_long_message_never_breaks_the_bar_into_lines() -> None:
    terminal = Terminal()
    ProgressLine(terminal).show("run", None, "x" * 5000)
    assert "\n" not in terminal.getvalue() and len(terminal.getvalue()) < 1000
