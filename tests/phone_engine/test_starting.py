"""An engine is several workers, each with a program to load: what happens where one does not come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.conftest import chromium
from phone_engine.page import EnginePage, engine_page
from unit.engine import small

# What is in the address of each worker's program.
ENGINE, READER, THREAD = "/worker-", "/readerWorker-", "/ort-wasm-simd-threaded"
PARTS = {ENGINE: "The worker", READER: "The reader", THREAD: "A thread"}
# In the order of the stages that the app shows.
MADE = ["prepare", "self_test", "run"]


@pytest.fixture
def page(built: Path, tmp_path: Path) -> Iterator[EnginePage]:
    bundle = small.build(tmp_path / "bundle")
    with engine_page(built, bundle, chromium(), tmp_path / "profile") as page:
        page.call("install")
        # What these tests are about waits for ever; on a slow machine a start takes seconds.
        page.patience = 120
        yield page


@pytest.mark.parametrize("program", PARTS)
def test_a_worker_whose_program_is_lost_ends_the_job_in_a_sentence(page: EnginePage, program: str) -> None:
    """Nothing waits for ever; and what was lost by chance is there at the next try."""
    page.lose(program, 1)
    sentence = f"{PARTS[program]} of the engine did not start (its program did not come); try again"
    with pytest.raises(RuntimeError, match="StartError: " + re.escape(sentence)):
        page.open("wasm", threads=2)
        page.call("selfTest")
    assert page.to_lose == {program: 0}
    page.open("wasm", threads=2)
    assert set(page.call("selfTest")) == {"denoiser", "vae_decoder"}


def test_a_thread_that_says_nothing_ends_the_job_in_a_sentence(page: EnginePage) -> None:
    """Its program comes and runs, so that no error is heard; only the end of the engine's patience is."""
    page.silence(THREAD)
    with pytest.raises(RuntimeError, match=r"A thread of the engine did not start \(it does not answer\)"):
        page.open("wasm", threads=2, threadPatienceMs=200)
        page.call("selfTest")
    page.silence(THREAD, False)
    page.open("wasm", threads=2)
    assert set(page.call("selfTest")) == {"denoiser", "vae_decoder"}


@pytest.mark.parametrize("program", PARTS)
def test_the_app_starts_again_what_did_not_start(page: EnginePage, program: str) -> None:
    page.lose(program, 1)
    made = page.call("generate", 2)
    assert made["threads"] == 2 and made["stages"].count("prepare") == 2 and made["stages"][-3:] == MADE


def test_the_app_does_without_threads_that_never_start(page: EnginePage) -> None:
    """One thread is the engine's own worker, which needs no program but its own."""
    page.lose(THREAD, 1000)
    made = page.call("generate", 2)
    assert made["threads"] == 1 and made["stages"].count("prepare") == 3 and made["stages"][-3:] == MADE


def test_the_app_says_when_nothing_helps(page: EnginePage) -> None:
    page.lose(READER, 1000)
    with pytest.raises(RuntimeError, match="StartError: The reader of the engine did not start"):
        page.call("generate", 2)
    assert page.to_lose == {READER: 1000 - 3}
