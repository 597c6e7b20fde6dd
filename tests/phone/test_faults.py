"""What goes wrong with phones: killed tabs, full disks, damaged files, desks that go away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bridge import BridgeError, Limits
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import BrowserContext, Page, Route, expect

from phone.conftest import Desk, pair, wait_for
from phone.handset import handset, kill_tabs
from phone.person import generate, open_settings, see_video
from phone.screens import look
from phone_engine import heavy_video
from unit.bridge import tiny_bundle

MB = 10**6
BALLAST = (3 * MB, 3 * MB)
# Slow enough to be caught in the middle: about eight seconds for a bundle with that ballast.
SLOW = Limits(bandwidth=0.4 * MB)
PATIENCE = 60_000
WORKERS = re.compile(r"/assets/worker-")


@pytest.fixture
def heavy(tmp_path: Path) -> Bundle:
    """A bundle that runs in a moment and takes a while to send."""
    return tiny_bundle.build(tmp_path / "heavy", ballast=BALLAST)


@pytest.fixture
def slow_desk(app: Path, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "desk", app, limits=SLOW)
    yield desk
    desk.bridge.stop()


@pytest.fixture
def desk(slow_desk: Desk) -> Desk:
    """Every desk of these tests has a slow line, so that what is cut is cut in the middle."""
    return slow_desk


def opened(phone: BrowserContext, address: str = "") -> Page:
    page = phone.pages[0]
    if address:
        page.goto(address)
    return page


def arriving(page: Page) -> None:
    """Wait until a part of the bundle, and not all, has come."""
    expect(page.get_by_text(re.compile(r"[1-5](\.\d)? MB of 6 MB"))).to_be_visible(timeout=PATIENCE)


def test_a_tab_killed_while_receiving_goes_on_where_it_was(desk: Desk, home: Path, heavy: Bundle) -> None:
    """Switched on again, the phone asks for the rest alone, and what it keeps is right."""
    with handset(home) as phone:
        page = opened(phone)
        pair(page, desk)
        origin = page.url
        job = desk.send(heavy)
        arriving(page)
        kill_tabs(home)
    with handset(home) as phone:
        page = opened(phone, origin)
        expect(page.get_by_role("button", name="tiny")).to_be_visible(timeout=PATIENCE)
        result = job.finish()
        size = sum(entry["bytes"] for entry in heavy.files.values())
        # What lay in the network's buffers when the tab died is sent again.
        assert size <= result.sent_bytes < 1.5 * size
        expect(page.get_by_text("ended the page")).to_have_count(0)


def test_a_desk_that_goes_away_and_comes_back(desk: Desk, home: Path, heavy: Bundle) -> None:
    """The phone says so, keeps what came, and goes on by itself when the desk is there again."""
    with handset(home) as phone:
        page = opened(phone)
        pair(page, desk)
        job = desk.send(heavy)
        arriving(page)
        desk.bridge.stop()
        expect(page.get_by_text("Desk out of reach")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("What came so far is kept")).to_be_visible(timeout=PATIENCE)
        with pytest.raises(BridgeError):
            job.finish()
        desk.restart()
        again = desk.send(heavy)
        expect(page.get_by_role("button", name="tiny")).to_be_visible(timeout=PATIENCE)
        assert again.finish().sent_bytes < sum(entry["bytes"] for entry in heavy.files.values())
        expect(page.get_by_text("Desk in reach")).to_be_visible()


def test_a_full_disk_is_told_in_words(desk: Desk, home: Path, heavy: Bundle) -> None:
    with handset(home) as phone:
        page = opened(phone)
        pair(page, desk)
        session = phone.new_cdp_session(page)
        origin = page.url.rstrip("/")
        # The browser tells a page of 10 GB in any case, so a full disk shows only when a write fails.
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": MB})
        job = desk.send(heavy)
        expect(page.get_by_text("The phone's storage is full.")).to_be_visible(timeout=PATIENCE)
        with pytest.raises(BridgeError, match="storage is full"):
            job.finish()
        expect(page.get_by_text("No workflow yet")).to_be_visible()
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin})
        desk.send(heavy).finish()
        expect(page.get_by_role("button", name="tiny")).to_be_visible()


def test_t12_a_file_damaged_at_the_desk_is_never_kept(
    desk: Desk, home: Path, tiny: Bundle, tmp_path: Path
) -> None:
    spoiled = tiny_bundle.build(tmp_path / "spoiled")
    path = spoiled.path("weights/denoiser.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    # After the list of files was made, and of the same length: nothing at the desk looks at it again.
    path.write_bytes(data)
    with handset(home) as phone:
        page = opened(phone)
        pair(page, desk)
        with pytest.raises(BridgeError, match="damaged, twice"):
            desk.send(spoiled).finish()
        expect(page.get_by_text("A file came damaged, twice")).to_be_visible()
        expect(page.get_by_text("No workflow yet")).to_be_visible()


def test_t12_files_damaged_on_the_phone_are_found_and_fetched_again(
    desk: Desk, home: Path, tiny: Bundle
) -> None:
    """The run says so; only what was damaged is sent again."""
    with handset(home) as phone:
        page = opened(phone)
        pair(page, desk)
        desk.send(tiny).finish()
        page.evaluate(
            """async (sha256) => {
              let folder = await navigator.storage.getDirectory();
              for (const name of ["pocketvideo", "blobs"]) folder = await folder.getDirectoryHandle(name);
              const file = await folder.getFileHandle(sha256);
              const writable = await file.createWritable({ keepExistingData: true });
              await writable.write({ type: "write", position: 0, data: new Uint8Array(64).fill(255) });
              await writable.close();
            }""",
            tiny.files["weights/epilogue.safetensors"]["sha256"],
        )
        # The engine that tested the workflow knows the files as they were.
        page.reload()
        generate(page, tiny)
        expect(page.get_by_text("were damaged on this phone (1)")).to_be_visible(timeout=PATIENCE)
        again = desk.send(tiny).finish()
        assert again.sent_bytes == tiny.files["weights/epilogue.safetensors"]["bytes"]
        page.get_by_role("button", name="Generate").click()
        see_video(page)


def test_a_tab_killed_while_generating_tries_less_the_next_time(
    desk: Desk, home: Path, tmp_path: Path
) -> None:
    long = heavy_video.build(tmp_path / "long", width=512)
    with handset(home) as phone:
        page = opened(phone)
        pair(page, desk)
        origin = page.url
        desk.send(long).finish()
        generate(page, long, steps=heavy_video.ENDLESS)
        expect(page.get_by_text("Making the video")).to_be_visible(timeout=PATIENCE)
        kill_tabs(home)
    with handset(home) as phone:
        page = opened(phone, origin)
        expect(page.get_by_text("The last video ended the page: too little memory")).to_be_visible()
        open_settings(page)
        expect(page.get_by_role("button", name="Try full speed again")).to_be_visible()
        page.get_by_role("button", name="Try full speed again").click()
        expect(page.get_by_role("button", name="Try full speed again")).to_have_count(0)


def test_t6_a_revoked_phone_keeps_what_it_has(desk: Desk, home: Path, tiny: Bundle) -> None:
    with handset(home) as phone:
        page = opened(phone)
        device = pair(page, desk)
        desk.send(tiny).finish()
        expect(page.get_by_role("button", name=tiny.manifest["name"])).to_be_visible()
        desk.bridge.revoke(device)
        expect(page.get_by_text("Not paired")).to_be_visible()
        generate(page, tiny)
        see_video(page)
        expect(page.get_by_role("button", name="Send to desk")).to_have_count(0)


def losing_programs(page: Page, times: int | None = None) -> list[str]:
    """Have the network lose the programs of workers, the first `times` or all; their addresses."""
    lost: list[str] = []

    def lose(route: Route) -> None:
        lost.append(route.request.url)
        route.abort()

    page.route(WORKERS, lose, times=times)
    return lost


def test_a_store_whose_program_is_lost_comes_with_another_try(desk: Desk, home: Path) -> None:
    """The app opens, instead of saying for ever that it starts."""
    with handset(home) as phone:
        page = phone.pages[0]
        lost = losing_programs(page, times=1)
        pair(page, desk)
        assert len(lost) == 1


def test_a_store_whose_program_never_comes_is_told_and_can_be_tried_again(desk: Desk, home: Path) -> None:
    with handset(home) as phone:
        page = phone.pages[0]
        lost = losing_programs(page)
        page.goto(desk.code())
        told = page.get_by_role("alert").filter(has_text="A part of the app did not come.")
        expect(told).to_be_visible(timeout=PATIENCE)
        look(page, "stuck")
        again = page.get_by_role("button", name="Try again")
        before = len(lost)
        again.click()
        # Each press is two more tries.
        wait_for(lambda: page.wait_for_timeout(20) or len(lost) == before + 2)
        expect(told).to_be_visible(timeout=PATIENCE)
        page.unroute(WORKERS)
        again.click()
        expect(page.get_by_role("button", name="Pair", exact=True)).to_be_visible(timeout=PATIENCE)
        expect(told).to_have_count(0)


def test_files_that_the_browser_does_not_open_are_told_and_can_be_tried_again(desk: Desk, home: Path) -> None:
    """A file lies where the store's folder belongs, so that the browser refuses the folder."""
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        page.evaluate(
            """async () => {
              const root = await navigator.storage.getDirectory();
              await root.removeEntry("pocketvideo", { recursive: true }).catch(() => {});
              await root.getFileHandle("pocketvideo", { create: true });
            }"""
        )
        page.reload()
        told = page.get_by_role("alert").filter(has_text="The browser did not open the app's files (")
        expect(told).to_be_visible(timeout=PATIENCE)
        page.evaluate(
            "() => navigator.storage.getDirectory().then((root) => root.removeEntry('pocketvideo'))"
        )
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", name="Workflows", exact=True)).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("Desk in reach")).to_be_visible(timeout=PATIENCE)
