"""A GPU that is taken away, one that ends the page twice, and none at all: the app goes on and says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import Page, expect

from browser.conftest import NO_GPU, SOFTWARE_GPU
from phone.conftest import Desk, pair
from phone.handset import handset, kill_gpu, kill_tabs
from phone.person import generate, open_settings, see_video
from phone_engine import heavy_video

PATIENCE = 120_000
STEPS = 50
QUICK = {"steps": 1}


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that takes long enough to be met in the middle, on a GPU in software and on the processor."""
    return heavy_video.build(tmp_path_factory.mktemp("long") / "bundle", width=512)


def in_the_middle(page: Page) -> None:
    page.get_by_text(re.compile(r"Step \d+ of")).wait_for(timeout=PATIENCE)


def ran(desk: Desk, bundle: Bundle) -> tuple[str, int]:
    """Where the phone computes now and within how many bytes, as a run for the desk reports it."""
    report: dict[str, Any] = desk.run(bundle, QUICK).finish().report
    plan = "webgpu" if "webgpu" in report["device"]["runtime"] else "wasm"
    return plan, report["weights"]["denoiser"]["budgetBytes"]


def test_a_gpu_taken_away_in_a_run_is_told_and_the_processor_finishes_the_video(
    desk: Desk, home: Path, long: Bundle
) -> None:
    """The next video tries the GPU with half the memory; when that is lost, too, the GPU is left out."""
    with handset(home, arguments=SOFTWARE_GPU) as phone:
        page = phone.pages[0]
        pair(page, desk)
        desk.send(long).finish()
        plan, whole = ran(desk, long)
        assert plan == "webgpu"
        for lost, (then, share) in enumerate([("webgpu", 0.5), ("wasm", 0.5)], start=1):
            generate(page, long, STEPS)
            in_the_middle(page)
            kill_gpu(home)
            page.get_by_text("The graphics processor gave up, so the processor goes on.").wait_for()
            expect(page.get_by_role("button", name="Generate")).to_be_visible(timeout=PATIENCE)
            expect(page.locator(".video")).to_be_visible()
            page.get_by_role("button", name="Back").click()
            assert ran(desk, long) == (then, whole * share), f"after {lost}"
        open_settings(page)
        expect(page.get_by_text("The graphics processor failed before")).to_be_visible()
        page.get_by_role("button", name="Try full speed again").click()
        expect(page.get_by_text("the fastest way")).to_be_visible()


def test_a_gpu_that_ends_the_page_is_tried_with_less_memory_and_then_left_out(
    desk: Desk, home: Path, long: Bundle
) -> None:
    """Nothing tells a page why it died; after the second time the processor makes the video to its end."""
    with handset(home, arguments=SOFTWARE_GPU) as phone:
        page = phone.pages[0]
        pair(page, desk)
        origin = page.url
        desk.send(long).finish()
        plan, whole = ran(desk, long)
        assert plan == "webgpu"
        generate(page, long, STEPS)
        in_the_middle(page)
        kill_tabs(home)
    for told, expected in (
        ("The last video ended the page: too little memory.", "webgpu"),
        ("From now on the graphics processor is left out.", "wasm"),
    ):
        with handset(home, arguments=SOFTWARE_GPU) as phone:
            page = phone.pages[0]
            page.goto(origin)
            expect(page.get_by_text(told)).to_be_visible()
            assert ran(desk, long) == (expected, whole * 0.5)
            generate(page, long, STEPS)
            in_the_middle(page)
            if expected == "webgpu":
                kill_tabs(home)
            else:
                see_video(page)


def test_without_a_gpu_the_processor_makes_the_video_and_the_phone_says_why(
    desk: Desk, home: Path, long: Bundle
) -> None:
    with handset(home, arguments=NO_GPU) as phone:
        page = phone.pages[0]
        pair(page, desk)
        desk.send(long).finish()
        assert ran(desk, long)[0] == "wasm"
        generate(page, long, steps=2)
        see_video(page)
        expect(page.get_by_text("gave up")).to_have_count(0)
        page.get_by_role("button", name="Back").click()
        open_settings(page)
        expect(page.get_by_text("On the processor")).to_be_visible()
        expect(page.get_by_text("gives no access to a graphics processor")).to_be_visible()
        # Nothing crashed, so there is nothing to be bolder about.
        expect(page.get_by_role("button", name="Try full speed again")).to_have_count(0)
